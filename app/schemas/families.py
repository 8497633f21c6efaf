"""Options of the model families that are not defined by their base model alone."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.schemas.base import StrictModel


def _distinct(sizes: list[int]) -> list[int]:
    if len(set(sizes)) != len(sizes):
        raise ValueError("filter sizes must differ from each other")
    return sizes


class TextCNNOptions(StrictModel):
    """A convolutional network over word pieces (Kim, 2014): small and fast, trained from scratch."""

    tokenizer: Literal["base_model", "own"] = "base_model"
    """base_model: the tokenizer of base_model, without its weights; own: one trained on the training texts."""
    tokenizer_algorithm: Literal["wordpiece", "bpe"] = "wordpiece"
    """Of an own tokenizer. bpe works on bytes, so that nothing is unknown to it; better for scripts without spaces."""
    lowercase: bool = True
    """An own tokenizer takes capitals for small letters."""
    vocab_size: Annotated[int, Field(ge=300, le=500_000)] = 30_522
    """Word pieces an own tokenizer learns, every character among them; a base model's tokenizer has its own number."""
    embed_size: Annotated[int, Field(ge=4, le=2048)] = 128
    """Numbers that stand for one word piece."""
    num_filters: Annotated[int, Field(ge=1, le=4096)] = 100
    """Filters of each size."""
    filter_sizes: Annotated[
        list[Annotated[int, Field(ge=1, le=32)]], Field(min_length=1, max_length=16), AfterValidator(_distinct)
    ] = [3, 4, 5]
    """Word pieces that a filter sees at a time."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Before the classification head."""
