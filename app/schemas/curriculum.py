"""Curriculum: training begins with the easier rows and takes in harder ones epoch by epoch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.base import StrictModel

Difficulty = Literal["length", "probe_loss", "column"]


class CurriculumOptions(StrictModel):
    """Curriculum learning (Bengio et al., 2009), of the training split only."""

    difficulty: Difficulty = "length"
    """length: longer texts are harder; probe_loss: what a naive Bayes probe that never saw the row finds unlikely;
    column: a number in each row."""
    column: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Column of the dataset with a number for each training row, greater is harder; required by difficulty column."""
    initial_difficulty: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of the rows, the easiest of them, that the first epoch uses."""
    final_difficulty: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the rows that is used in the end; 1: all."""
    num_epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    """Epochs over which the share grows evenly; a shorter run grows faster, so that its last epoch has them all."""
    by_label: bool = True
    """Take the share of each label's rows, so that no label is missing in the first epochs."""

    @model_validator(mode="after")
    def _rules_across_fields(self) -> Self:
        if self.initial_difficulty > self.final_difficulty:
            raise ValueError(
                f"initial_difficulty ({self.initial_difficulty}) must not be above final_difficulty "
                f"({self.final_difficulty})"
            )
        if self.difficulty == "column" and self.column is None:
            raise ValueError("difficulty 'column' needs column; give it, or use difficulty 'length'")
        if self.difficulty != "column" and self.column is not None:
            raise ValueError("column needs difficulty 'column'")
        return self
