"""Runs made up from a few numbers, and what the doctor says about them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from app.doctor.diagnosis import diagnose
from app.doctor.facts import Facts
from app.schemas.diagnoses import Diagnosis
from app.schemas.hyperparameters import Hyperparameters, ResolvedHyperparameters
from app.store.metrics import Point

STEPS_PER_EPOCH = 100
Values = Sequence[float]
Examine = Callable[..., dict[str, Diagnosis]]
EVEN = {"negative": 500, "neutral": 500, "positive": 500}


def curve(name: str, values: Values, *, every: int = STEPS_PER_EPOCH) -> list[Point]:
    return [
        Point(name, step, step / STEPS_PER_EPOCH, value)
        for step, value in zip(range(every, every * (len(values) + 1), every), values, strict=True)
    ]


def hyperparameters(**changed: Any) -> dict[str, Any]:
    resolved = ResolvedHyperparameters(
        num_train_epochs=10,
        batch_size=16,
        learning_rate=2e-5,
        head_learning_rate_multiplier=2.0,
        class_weights="none",
        dropout=0.1,
        max_length=128,
        precision="fp32",
        warmup_steps=20,
    )
    return resolved.model_dump() | changed


def advised(found: Diagnosis, wishes: Mapping[str, Any]) -> Hyperparameters:
    """Apply a diagnosis's changes to what the run had; the result must be a legal request."""
    changed = {change.field: change.to for change in found.changes if change.field in Hyperparameters.model_fields}
    assert all(change.why and change.to != change.from_ for change in found.changes)
    return Hyperparameters.model_validate({**wishes, **changed})


@pytest.fixture
def examine() -> Examine:
    """Diagnose a run given as one list per curve, one value an epoch; every advice is checked to be legal."""

    def examined(curves: Mapping[str, Values], *, every: int = STEPS_PER_EPOCH, **facts: Any) -> dict[str, Diagnosis]:
        wishes = hyperparameters(**facts.pop("hyperparameters", {}))
        known = Facts(**({"label_counts": EVEN, "stop_reason": "completed"} | facts), hyperparameters=wishes)
        points = [point for name, values in curves.items() for point in curve(name, values, every=every)]
        found = diagnose(points, known)
        for each in found:
            advised(each, wishes)
        return {each.code: each for each in found}

    return examined


@pytest.fixture
def healthy() -> dict[str, Values]:
    """A run as it should be: both losses fall, the validation score rises and settles."""
    return {
        "train/loss": [1.02, 0.82, 0.62, 0.50, 0.44, 0.41],
        "eval/loss": [1.10, 0.95, 0.80, 0.72, 0.71, 0.71],
        "eval/f1_macro": [0.45, 0.58, 0.67, 0.71, 0.715, 0.716],
        "eval/accuracy": [0.47, 0.60, 0.69, 0.73, 0.74, 0.74],
        "train/grad_norm": [2.3, 1.9, 1.7, 1.6, 1.4, 1.5],
        "train/learning_rate": [2e-5, 1.7e-5, 1.3e-5, 9e-6, 5e-6, 1e-6],
        "train/examples_per_second": [310.0, 340.0, 335.0, 342.0, 338.0, 341.0],
    }
