"""Runs that blow up or jump about."""

import math
from collections.abc import Callable

import pytest

from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]


def changes(diagnosis: Diagnosis) -> dict[str, object]:
    return {change.field: change.to for change in diagnosis.changes}


def test_a_loss_that_becomes_nan_has_diverged(examine: Examine) -> None:
    found = examine(
        {"train/loss": [1.05, 2.34, math.nan]},
        error_code="training-diverged",
        total_steps=1000,
        hyperparameters={"max_grad_norm": None},
    )

    assert list(found) == ["diverged"]
    diagnosis = found["diverged"]
    assert diagnosis.severity == "critical"
    assert "step 300" in diagnosis.evidence
    assert "1.05 → 2.34 → nan" in diagnosis.evidence
    assert [seen.value for seen in diagnosis.observations] == [1.05, 2.34, None]
    assert changes(diagnosis) == {"learning_rate": 2e-6, "max_grad_norm": 1.0, "warmup_steps": 100}


def test_the_error_of_the_job_says_it_where_the_store_dropped_what_was_no_number(examine: Examine) -> None:
    found = examine({"train/loss": [1.05, 2.34]}, error_code="training-diverged")

    assert list(found) == ["diverged"]
    assert "1.05 → 2.34" in found["diverged"].evidence


def test_extreme_class_weights_and_half_precision_are_suspects(examine: Examine) -> None:
    weights = {"negative": 0.1, "neutral": 1.0, "positive": 16.0}
    found = examine({"eval/loss": [math.inf]}, hyperparameters={"class_weights": weights, "precision": "fp16"})

    advice = changes(found["diverged"])
    assert advice["precision"] == "fp32"
    assert advice["class_weights"] == {"negative": 0.32, "neutral": 1.0, "positive": 4.0}


def test_a_metric_that_is_not_a_loss_may_be_undefined(examine: Examine) -> None:
    assert "diverged" not in examine({"eval/precision_macro": [math.nan, 0.5]})


def test_a_climbing_loss_is_exploding(examine: Examine) -> None:
    found = examine({"train/loss": [1.05, 2.34]})

    assert list(found) == ["exploding"]
    assert found["exploding"].severity == "critical"
    assert "from 1.05 at step 100 to 2.34 at step 200" in found["exploding"].evidence
    assert changes(found["exploding"])["learning_rate"] == 4e-6


@pytest.mark.parametrize(
    "losses",
    [
        [1.05, 0.90, 0.95, 0.80],  # noise
        [0.90, 0.01, 0.05, 0.01, 0.06],  # six times the lowest, but far below chance
        [3.0, 1.2, 1.0, 1.3],  # began high
    ],
)
def test_noise_is_no_explosion(examine: Examine, losses: list[float]) -> None:
    assert "exploding" not in examine({"train/loss": losses})


def test_unclipped_gradients_that_jump_are_exploding(examine: Examine) -> None:
    curves = {"train/loss": [1.05, 0.9, 0.8], "train/grad_norm": [2.3, 456.7, 2.1]}
    found = examine(curves, hyperparameters={"max_grad_norm": None})

    assert found["exploding"].severity == "warning"
    assert "457 at step 200" in found["exploding"].evidence
    assert changes(found["exploding"])["max_grad_norm"] == 1.0


def test_a_clipped_spike_of_the_gradients_is_what_clipping_is_for(examine: Examine) -> None:
    curves = {"train/loss": [1.05, 0.9, 0.8], "train/grad_norm": [2.3, 456.7, 2.1]}
    assert examine(curves, hyperparameters={"max_grad_norm": 1.0}) == {}


def test_evaluations_that_jump_are_oscillating(examine: Examine) -> None:
    found = examine({"eval/f1_macro": [0.50, 0.62, 0.48, 0.66, 0.51, 0.60]})

    assert "eval/f1_macro" in found["oscillating"].evidence
    advice = changes(found["oscillating"])
    assert advice["learning_rate"] == 1e-5
    assert advice["gradient_accumulation_steps"] == 2
    assert advice["early_stopping_patience"] == 5


def test_a_training_loss_that_jumps_is_oscillating(examine: Examine) -> None:
    found = examine({"train/loss": [1.0, 0.5, 1.05, 0.45, 1.0, 0.5, 0.95]})
    assert "train/loss" in found["oscillating"].evidence


def test_a_sudden_spike_is_oscillating(examine: Examine) -> None:
    found = examine({"train/loss": [1.0, 0.7, 0.5, 2.9, 0.5, 0.4, 0.35]})

    assert "spike" in found["oscillating"].title
    assert [seen.value for seen in found["oscillating"].observations] == [0.5, 2.9, 0.5]


def test_small_jitter_is_not_oscillating(examine: Examine) -> None:
    curves = {
        "train/loss": [1.0, 0.8, 0.85, 0.6, 0.63, 0.5, 0.52],
        "eval/f1_macro": [0.60, 0.66, 0.65, 0.70, 0.69, 0.705],
    }
    assert examine(curves) == {}
