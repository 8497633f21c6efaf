"""Curriculum: training begins with the easier rows and takes in harder ones epoch by epoch."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.base import StrictModel

Difficulty = Literal["length", "probe_loss", "column"]


class CurriculumOptions(StrictModel):
    """Curriculum learning (Bengio et al., 2009), of the training split only."""

    difficulty: Difficulty = "length"
    """length: longer texts are harder; probe_loss: what a naive Bayes probe that never saw the row finds unlikely;
    column: the numbers that the dataset was uploaded with, as its difficulty_column; greater is harder."""
    initial_difficulty: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the rows, the easiest of them, that the first epoch uses."""
    final_difficulty: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the rows that is used in the end; 1: all."""
    num_epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    """Epochs over which the share grows evenly; a shorter run grows faster, so that its last epoch has them all."""
    by_label: bool = True
    """Take the share of each label's rows, so that no label is missing in the first epochs. Of multi_label, where a
    row may have several, it is always the share of all rows."""

    @model_validator(mode="after")
    def _rules_across_fields(self) -> Self:
        if self.initial_difficulty > self.final_difficulty:
            raise ValueError(
                f"initial_difficulty ({self.initial_difficulty}) must not be above final_difficulty "
                f"({self.final_difficulty})"
            )
        return self

    def share(self, epoch: int, epochs: int) -> float:
        """Give the share of the rows that ``epoch``, counted from 0, uses in a run of ``epochs``."""
        last = min(self.num_epochs, epochs) - 1
        if epoch >= last:
            return self.final_difficulty
        return self.initial_difficulty + (self.final_difficulty - self.initial_difficulty) * epoch / last

    def size(self, groups: Sequence[int], epoch: int, epochs: int) -> int:
        """Count the rows of an epoch; ``groups`` counts the rows of each label."""
        wanted = self.share(epoch, epochs)
        return sum(taken(wanted, rows) for rows in (groups if self.by_label else [sum(groups)]))


def taken(share: float, rows: int) -> int:
    """Count the easiest rows of a group that make up a share of it: one at least."""
    # Rounded first: 0.3 of ten rows are three, though 0.1 + 0.2 is a little more than 0.3.
    return min(rows, max(1, math.ceil(round(share * rows, 9))))
