"""How a version turns logits into answers: what a job may ask for, and what its bundle then says."""

from typing import Annotated

from pydantic import Field

from app.schemas.base import Resource, StrictModel


class DecisionOptions(StrictModel):
    """How the version is to decide; it belongs to the version, and no request or alias changes it."""

    calibrate: bool = True
    """Fit a temperature on the validation split, so that answers given with 0.8 are right in about 80 % of the cases.
    Left at 1 where the split has fewer than 100 rows."""
    abstain_below: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Mark an answer as abstained when its probability is lower; null: never. Not of multi_label, where thresholds
    decide on every label."""
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many probabilities an answer shows under ``scores`` when a request says nothing about it; null: none."""


class Decision(Resource):
    """How a version decides."""

    temperature: float = 1.0
    """What logits are divided by before they become probabilities; of several tasks, those of the main one. Above 1:
    the trained model was too sure of itself."""
    task_temperatures: dict[str, float] = {}
    """The same of each further task by name."""
    rows: int = 0
    """Validation rows that the temperature was fitted on; 0: it was not fitted."""
    note: str | None = None
    """Why it was not fitted, for any task."""
    abstain_below: float | None = None
    """The probability below which an answer is marked as abstained; null: never."""
    top_k: int | None = None
    """How many probabilities an answer shows when the request does not say; null: none."""
