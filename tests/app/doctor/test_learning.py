"""Runs that learn nothing, little, or no more."""

from collections.abc import Callable

import pytest

from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]


def changes(diagnosis: Diagnosis) -> dict[str, object]:
    return {change.field: change.to for change in diagnosis.changes}


def test_a_flat_loss_near_chance_is_not_learning(examine: Examine) -> None:
    found = examine({"train/loss": [1.05, 1.04, 1.05]})

    assert list(found) == ["not_learning"]
    diagnosis = found["not_learning"]
    assert diagnosis.severity == "critical"
    assert "1.05 at step 100" in diagnosis.evidence
    assert "1.1" in diagnosis.evidence  # ln 3
    assert changes(diagnosis)["learning_rate"] == 1e-4


def test_a_rate_that_is_already_high_is_lowered_instead(examine: Examine) -> None:
    found = examine({"train/loss": [1.11, 1.10, 1.10]}, hyperparameters={"learning_rate": 5e-4})

    assert changes(found["not_learning"])["learning_rate"] == 2e-5
    assert "forgot" in found["not_learning"].cause


def test_vanished_gradients_are_named_as_the_cause(examine: Examine) -> None:
    found = examine({"train/loss": [1.05, 1.04, 1.05], "train/grad_norm": [1e-9, 2e-9, 1e-9]})
    assert "frozen" in found["not_learning"].cause


@pytest.mark.parametrize(
    ("curves", "facts"),
    [
        ({"train/loss": [1.05, 0.95, 0.85]}, {}),
        ({"train/loss": [0.03, 0.03, 0.03]}, {}),  # a checkpoint that knew it all before
        ({"train/loss": [1.05, 1.04, 1.05]}, {"hyperparameters": {"warmup_steps": 200}}),  # still warming up
        ({"train/loss": [1.05, 1.04]}, {}),
        ({"train/loss": [1.05, 1.04, 1.05], "eval/f1_macro": [0.3, 0.4, 0.5]}, {}),  # the score says otherwise
    ],
)
def test_not_learning_needs_a_flat_loss_that_is_high(
    examine: Examine, curves: dict[str, list[float]], facts: dict[str, object]
) -> None:
    assert "not_learning" not in examine(curves, **facts)


def test_the_loss_of_chance_depends_on_the_labels(examine: Examine) -> None:
    uneven = {"spam": 50, "ham": 950}  # always saying ham costs 0.2
    assert "not_learning" in examine({"train/loss": [0.2, 0.2, 0.2]}, label_counts=uneven)
    assert "not_learning" not in examine({"train/loss": [0.2, 0.2, 0.2]}, label_counts={"spam": 500, "ham": 500})


def test_a_running_job_is_given_an_epoch_before_it_is_judged(examine: Examine) -> None:
    assert (
        examine({"train/loss": [1.05, 1.04, 1.05]}, every=10, finished=False, hyperparameters={"warmup_steps": 0}) == {}
    )


def test_a_loss_that_crawls_converges_slowly(examine: Examine) -> None:
    curves = {"train/loss": [1.05, 1.03, 1.00, 0.97, 0.94], "eval/loss": [1.06, 1.04, 1.01, 0.98, 0.96]}
    found = examine(curves)

    assert list(found) == ["slow_convergence"]  # not underfitting besides: it is the same finding
    assert "fell by 9.0 %" in found["slow_convergence"].evidence
    advice = changes(found["slow_convergence"])
    assert advice["learning_rate"] == 5e-5
    assert advice["num_train_epochs"] == 20


@pytest.mark.parametrize(
    "losses", [[1.05, 0.8, 0.6, 0.5, 0.45], [1.05, 1.0, 0.96, 0.96, 0.96], [0.2, 0.19, 0.18, 0.17]]
)
def test_slow_convergence_needs_a_loss_that_still_falls_and_is_high(examine: Examine, losses: list[float]) -> None:
    assert "slow_convergence" not in examine({"train/loss": losses})


def test_a_score_that_never_moves_is_a_plateau(examine: Examine) -> None:
    curves = {"train/loss": [1.05 - 0.03 * epoch for epoch in range(15)], "eval/f1_macro": [0.35] * 15}
    found = examine(curves)

    assert list(found) == ["plateau"]  # and not that the first evaluation was the best
    assert found["plateau"].severity == "warning"
    assert "0.35 at step 100 and 0.35 at step 1500" in found["plateau"].evidence
    assert changes(found["plateau"])["learning_rate"] == 1e-4


def test_a_long_tail_without_gain_is_a_plateau_worth_knowing(examine: Examine) -> None:
    scores = [0.60, 0.70, 0.80, 0.80, 0.799, 0.80, 0.801, 0.80, 0.798, 0.80]
    found = examine({"eval/f1_macro": scores}, hyperparameters={"early_stopping_patience": None})

    assert found == {}  # the best is at epoch 7: three evaluations since are no long tail
    found = examine({"eval/f1_macro": [*scores, 0.797, 0.799]}, hyperparameters={"early_stopping_patience": None})
    assert found["plateau"].severity == "info"
    assert changes(found["plateau"])["early_stopping_patience"] == 3


def test_early_stopping_waits_on_a_plateau_by_design(examine: Examine) -> None:
    scores = [0.60, 0.70, 0.80, 0.80, 0.80, 0.80, 0.80]
    assert examine({"eval/f1_macro": scores}, stop_reason="early_stopping") == {}
    assert list(examine({"eval/f1_macro": scores}, stop_reason="completed")) == ["plateau"]


def test_a_good_score_may_be_flat(examine: Examine) -> None:
    assert "plateau" not in examine({"eval/f1_macro": [0.93, 0.935, 0.94]})


def test_a_focal_loss_is_not_measured_against_that_of_chance(examine: Examine) -> None:
    knows_nothing = {"train/loss": [0.49, 0.488, 0.487, 0.488], "eval/loss": [1.1, 1.099, 1.098, 1.099]}
    found = examine(knows_nothing, hyperparameters={"loss": "focal", "focal_gamma": 2.0})
    assert "not_learning" in found and found["not_learning"].evidence.startswith("eval/loss")
