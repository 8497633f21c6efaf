"""Diagnoses: what the metric history of a run says about it, and what to change. Advice only; nothing acts on it."""

from typing import Literal

from pydantic import ConfigDict, Field

from app.schemas.base import Resource

DiagnosisCode = Literal[
    "diverged",
    "exploding",
    "not_learning",
    "slow_convergence",
    "oscillating",
    "overfitting",
    "underfitting",
    "plateau",
    "imbalanced",
    "metric_at_first_epoch",
    "early_stop_too_early",
    "slow_training",
    "gpu_unused",
]
Severity = Literal["critical", "warning", "info"]
ChangeValue = bool | int | float | str | dict[str, float] | None


class Change(Resource):
    """One thing to do differently in the next run."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    field: str
    """A hyperparameter, ``base_model`` or ``dataset``."""
    from_: ChangeValue = Field(alias="from")
    """What this run had; null where the field has no value of its own."""
    to: ChangeValue
    """What to try; words where the change is not a value."""
    why: str
    """What it would do."""


class Observation(Resource):
    """One point of a curve that a diagnosis rests on."""

    name: str
    """Of the curve."""
    step: int
    """Optimizer steps by then."""
    epoch: float
    """Passes over the training split by then."""
    value: float | None
    """null: not a finite number."""


class Diagnosis(Resource):
    """One finding about a run."""

    code: DiagnosisCode
    """Stable name of the finding."""
    severity: Severity
    """``critical``: the result is of no use; ``warning``: it could be better; ``info``: worth knowing."""
    title: str
    """The finding in one line."""
    evidence: str
    """What was seen: numbers and steps, in words."""
    observations: list[Observation]
    """The same as data."""
    cause: str
    """What usually lies behind it."""
    changes: list[Change]
    """What to try, most promising first."""
