"""What training a TextCNN takes of a GPU's memory, from its options: all of it is made for the job."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.preflight.memory import MIB, Load
from app.schemas.families import TextCNNOptions
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.plans import MemoryEstimate

INDEX_BYTES = 16
"""Of each token: its id and whether it is one."""


def trained_before(options: TextCNNOptions, config: Any) -> TextCNNOptions | None:
    """Give the options with the sizes of the version that training goes on from; None: ``config`` is of no TextCNN."""
    if not isinstance(config, Mapping) or config.get("model_type") != "textcnn":
        return None
    sizes = {name: config.get(name) for name in ("vocab_size", "embed_size", "num_filters", "filter_sizes")}
    try:
        return TextCNNOptions.model_validate(options.model_dump() | sizes)
    except ValidationError:
        return None


class Sizes:
    """How many numbers each part has."""

    def __init__(self, options: TextCNNOptions, vocabulary: int, labels: int) -> None:
        self.options = options
        self.embedding = vocabulary * options.embed_size
        self.features = options.num_filters * len(options.filter_sizes)
        self.convolutions = self.features + options.embed_size * options.num_filters * sum(options.filter_sizes)
        self.head = (self.features + 1) * labels

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.embedding + self.convolutions + self.head


def estimate_text_cnn(
    options: TextCNNOptions, wishes: Hyperparameters, load: Load, *, vocabulary: int
) -> MemoryEstimate:
    """Add up the components of one training step for a tokenizer of ``vocabulary`` ids."""
    sizes, half = Sizes(options, vocabulary, load.labels), wishes.precision != "fp32"
    trainable = sizes.head if wishes.freeze_base else sizes.parameters
    parts = {
        "parameters_mb": 4 * sizes.parameters,
        "gradients_mb": 4 * trainable,
        "optimizer_mb": 4 * _state_numbers(sizes, wishes, vocabulary, load.labels),
        "casts_mb": 2 * (sizes.convolutions + sizes.head) if half else 0,
        "activations_mb": 0 if wishes.freeze_base else load.batch_size * _bytes_per_text(options, load, half=half),
    }
    return MemoryEstimate(
        batch_size=load.batch_size,
        max_length=load.max_length,
        parameters=sizes.parameters,
        trainable_parameters=trainable,
        total_mb=round(sum(parts.values()) / MIB, 1),
        **{name: round(size / MIB, 1) for name, size in parts.items()},
    )


def _bytes_per_text(options: TextCNNOptions, load: Load, *, half: bool) -> int:
    """Count what a text leaves for the backward pass: its vectors, and of each filter two answers at every window."""
    width = 2 if half else 4
    padded = load.max_length + max(options.filter_sizes)
    vectors = width * options.embed_size * padded
    copies = len(options.filter_sizes) if half else 1  # autocast makes one for each size
    windows = sum(padded - size + 1 for size in options.filter_sizes)
    return INDEX_BYTES * load.max_length + copies * vectors + 2 * width * options.num_filters * windows


def _state_numbers(sizes: Sizes, wishes: Hyperparameters, vocabulary: int, labels: int) -> int:
    if wishes.optim == "adamw":
        return 2 * (sizes.head if wishes.freeze_base else sizes.parameters)
    head = sizes.features + 2 * labels
    if wishes.freeze_base:
        return head
    options = sizes.options
    # A row and a column of each matrix; a convolution is one matrix for each filter.
    filters = sum(options.num_filters * (options.embed_size + size + 1) for size in options.filter_sizes)
    return head + filters + vocabulary + options.embed_size
