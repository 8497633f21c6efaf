"""What the answers to every ``auto`` depend on: the rows, the base model, the machine."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.schemas.base import Auto
from app.schemas.hyperparameters import Precision
from worker.data.class_weights import balanced_weights, positive_weights


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a family reads long texts in chunks."""

    length: int | Auto
    """Tokens of a chunk, as wished."""
    max_chunks: int
    overlap: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the base model and the machine say."""

    position_limit: int
    """Tokens the model can read at most."""
    vocabulary: int
    """Ids the model has embeddings for."""
    pad_token_id: int
    learning_rate: float
    head_learning_rate_multiplier: float
    rates_reason: str
    dropout: float
    """Before the classification head, as the base model has it."""
    precision: Precision
    precision_reason: str
    chunking: Chunking | None = None
    """None: the model reads a text as a whole."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the answers depend on."""

    class_counts: Mapping[str, int]
    """Training rows of each label."""
    token_lengths: NDArray[np.int64]
    """Tokens of the training texts before truncation; empty where no answer depends on them."""
    model: ModelFacts
    multi_label_rows: int | None = None
    """Training rows, where a row may have any number of labels."""
    further_rows: int = 0
    """Training rows of further tasks."""

    @property
    def rows(self) -> int:
        """Training rows."""
        return sum(self.groups)

    @property
    def groups(self) -> tuple[int, ...]:
        """Training rows by label, where each row has one; those of further tasks together."""
        own = tuple(self.class_counts.values()) if self.multi_label_rows is None else (self.multi_label_rows,)
        return (*own, self.further_rows) if self.further_rows else own

    def balanced_weights(self) -> dict[str, float]:
        """Weigh the classes so that each counts the same. Raises JobFailure ``class-without-rows``."""
        if self.multi_label_rows is None:
            return balanced_weights(self.class_counts)
        return positive_weights(self.class_counts, self.multi_label_rows)
