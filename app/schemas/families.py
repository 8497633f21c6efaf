"""Model families, each with its options: a job gives a name, or an object with what differs from the defaults."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from app.schemas.base import StrictModel

FamilyName = Literal["encoder", "textcnn"]
FAMILY_NAMES: tuple[FamilyName, ...] = get_args(FamilyName)


def _distinct(sizes: list[int]) -> list[int]:
    if len(set(sizes)) != len(sizes):
        raise ValueError("filter sizes must differ from each other")
    return sizes


class EncoderOptions(StrictModel):
    """A pretrained transformer with a classification head on its first token."""

    type: Literal["encoder"] = "encoder"
    """A pretrained transformer with a classification head."""


class TextCNNOptions(StrictModel):
    """A convolutional network over word pieces (Kim, 2014): small and fast, trained from scratch."""

    type: Literal["textcnn"] = "textcnn"
    """A convolutional network that is trained from scratch: small, fast, and in need of more rows than an encoder."""
    tokenizer: Literal["own", "base_model"] = "own"
    """own: one trained on the training texts; base_model: the tokenizer of base_model, without its weights.
    Ignored when base_model is a version of this family: training goes on from that, with its tokenizer and sizes."""
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


FamilyOptions = Annotated[EncoderOptions | TextCNNOptions, Field(discriminator="type")]


def _named(value: Any) -> Any:
    """Take the bare name of a family for its defaults."""
    return {"type": value} if isinstance(value, str) else value


Family = Annotated[FamilyOptions, BeforeValidator(_named, json_schema_input_type=FamilyName | FamilyOptions)]
"""As a client writes it: a name, or an object with ``type`` and options."""
