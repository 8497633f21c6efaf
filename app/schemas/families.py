"""Model families, each with its options: a job gives a name, or an object with what differs from the defaults."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from app.schemas.base import Auto, StrictModel

FamilyName = Literal["encoder", "textcnn", "multitask", "hierarchical"]
FAMILY_NAMES: tuple[FamilyName, ...] = get_args(FamilyName)


def _distinct(sizes: list[int]) -> list[int]:
    if len(set(sizes)) != len(sizes):
        raise ValueError("filter sizes must differ from each other")
    return sizes


class Options(StrictModel):
    """What every family answers about its options."""

    @property
    def dataset_ids(self) -> tuple[str, ...]:
        """Name the datasets beside the job's own."""
        return ()


class EncoderOptions(Options):
    """A pretrained transformer with a classification head on its first token."""

    type: Literal["encoder"] = "encoder"
    """A pretrained transformer with a classification head."""


LONGEST_INPUT = 8192
"""Tokens that a textcnn reads; a convolution has no limit of its own, memory has."""


class TextCNNOptions(Options):
    """A convolutional network over word pieces (Kim, 2014): small and fast, trained from scratch."""

    type: Literal["textcnn"] = "textcnn"
    """A convolutional network that is trained from scratch: small, fast, and in need of more rows than an encoder."""
    tokenizer: Literal["own", "base_model"] = "own"
    """own: one trained on the training texts; base_model: the tokenizer of base_model, without its weights.
    When base_model is a version of this family, training goes on from that, with its tokenizer and sizes."""
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


TaskName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$"),
    Field(description="Lower-case letters, digits, '_' and '-'; 1 to 32 characters.", examples=["emotion"]),
]
LossWeight = Annotated[float, Field(gt=0, le=1000)]


class TaskOptions(StrictModel):
    """One further task of a multitask job."""

    dataset_id: Annotated[str, Field(examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a9"])]
    """Its own dataset, with one label a row: its labels, its splits."""
    loss_weight: LossWeight = 1.0
    """How much its loss counts."""


class MultitaskOptions(Options):
    """A pretrained transformer with a classification head for each of several tasks; the job's dataset is the main one.

    The loss of an optimizer step is the sum over the tasks of loss_weight times the mean loss of the task's rows in it.
    """

    type: Literal["multitask"] = "multitask"
    """A pretrained transformer that learns several tasks at once, with a head for each."""
    name: TaskName = "main"
    """What the main task is called."""
    loss_weight: LossWeight = 1.0
    """How much the loss of the main task counts."""
    tasks: Annotated[dict[TaskName, TaskOptions], Field(min_length=1, max_length=8)]
    """The further tasks by name, each with its own dataset; the same label may occur in several."""

    @property
    def dataset_ids(self) -> tuple[str, ...]:
        """Name the datasets beside the job's own."""
        return tuple(task.dataset_id for task in self.tasks.values())

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if self.name in self.tasks:
            raise ValueError(f"name is {self.name}, and tasks has another task of this name; rename one of them")
        return self


class HierarchicalOptions(Options):
    """A pretrained transformer over the chunks of a document, and attention over what it makes of each chunk."""

    type: Literal["hierarchical"] = "hierarchical"
    """A pretrained transformer reads a document chunk by chunk, and attention weighs the chunks: for long texts."""
    max_chunks: Annotated[int, Field(ge=1, le=256)] = 20
    """Chunks of a document that are read; what comes after them is cut off. Fewer take less memory."""
    chunk_length: Annotated[int, Field(ge=8, le=8192)] | Auto = "auto"
    """Tokens of a chunk, special tokens included; auto: max_length where that is a number, else what the base model
    reads, 512 at most."""
    overlap: Annotated[int, Field(ge=0, le=4096)] = 0
    """Tokens that a chunk repeats of the one before it, half of chunk_length at most."""
    attention_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Width of the attention over chunks; null: that of the base model."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Before the classification head."""


FamilyOptions = Annotated[
    EncoderOptions | TextCNNOptions | MultitaskOptions | HierarchicalOptions, Field(discriminator="type")
]


def _named(value: Any) -> Any:
    """Take the bare name of a family for its defaults."""
    return {"type": value} if isinstance(value, str) else value


Family = Annotated[FamilyOptions, BeforeValidator(_named, json_schema_input_type=FamilyName | FamilyOptions)]
"""As a client writes it: a name, or an object with ``type`` and options."""
