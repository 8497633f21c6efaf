"""Training against validation loss."""

from collections.abc import Callable

import pytest

from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]


def changes(diagnosis: Diagnosis) -> dict[str, object]:
    return {change.field: change.to for change in diagnosis.changes}


def test_a_widening_gap_is_overfitting(examine: Examine) -> None:
    found = examine({"train/loss": [0.50, 0.30], "eval/loss": [0.72, 0.75]}, every=500)

    assert list(found) == ["overfitting"]
    evidence = found["overfitting"].evidence
    assert "Epoch 5: training loss 0.5, validation loss 0.72, gap 0.22" in evidence
    assert "Epoch 10: training loss 0.3, validation loss 0.75, gap 0.45" in evidence
    advice = changes(found["overfitting"])
    assert advice["num_train_epochs"] == 5
    assert advice["dropout"] == 0.2
    assert advice["label_smoothing_factor"] == 0.1


def test_the_training_loss_between_evaluations_is_averaged(examine: Examine) -> None:
    train = [1.0, 0.9, 0.7, 0.6, 0.4, 0.35, 0.2, 0.1, 0.06, 0.03]
    found = examine({"train/loss": train, "eval/loss": [0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.9, 0.9, 1.1, 1.1]})
    assert "validation loss 0.7" in found["overfitting"].evidence


@pytest.mark.parametrize(
    "curves",
    [
        {"train/loss": [0.50, 0.30], "eval/loss": [0.72, 0.70]},  # both fall
        {"train/loss": [0.50, 0.49], "eval/loss": [0.72, 0.75]},  # the gap hardly widens
        {"train/loss": [0.50, 0.60], "eval/loss": [0.72, 0.95]},  # both rise
        {"train/loss": [0.50, 0.30], "eval/loss": [0.72, 0.725]},  # a tremble
    ],
)
def test_a_gap_alone_is_normal(examine: Examine, curves: dict[str, list[float]]) -> None:
    assert "overfitting" not in examine(curves)


def test_what_early_stopping_threw_away_is_not_held_against_the_run(examine: Examine) -> None:
    curves = {
        "train/loss": [1.05, 0.85, 0.65, 0.50, 0.38, 0.28],
        "eval/loss": [1.10, 0.95, 0.80, 0.72, 0.73, 0.75],
        "eval/f1_macro": [0.45, 0.58, 0.67, 0.71, 0.70, 0.69],
    }
    assert examine(curves, stop_reason="early_stopping") == {}
    assert list(examine(curves, stop_reason="completed")) == ["overfitting"]


def test_a_kept_checkpoint_that_is_overfitted_counts_even_after_early_stopping(examine: Examine) -> None:
    curves = {
        "train/loss": [0.80, 0.50, 0.30, 0.15, 0.08, 0.05],
        "eval/loss": [0.75, 0.70, 0.80, 0.95, 1.05, 1.10],
        "eval/f1_macro": [0.60, 0.66, 0.67, 0.68, 0.67, 0.67],
    }
    found = examine(curves, stop_reason="early_stopping")
    assert "Epoch 4" in found["overfitting"].evidence


def test_two_high_losses_are_underfitting(examine: Examine) -> None:
    found = examine({"train/loss": [0.80], "eval/loss": [0.82]}, every=1500)

    assert list(found) == ["underfitting"]
    assert "training loss 0.8, validation loss 0.82" in found["underfitting"].evidence
    advice = changes(found["underfitting"])
    assert advice["num_train_epochs"] == 20
    assert advice["learning_rate"] == 5e-5
    assert advice["base_model"] == "a larger model"


@pytest.mark.parametrize(
    ("curves", "facts"),
    [
        ({"train/loss": [1.0, 0.5], "eval/loss": [0.9, 0.6]}, {}),
        ({"train/loss": [0.3], "eval/loss": [0.82]}, {}),  # overfitted rather
        ({"train/loss": [0.80], "eval/loss": [0.82]}, {"finished": False}),
        ({"train/loss": [0.80], "eval/loss": [0.82], "eval/f1_macro": [0.9]}, {}),
    ],
)
def test_underfitting_needs_a_finished_run_with_both_losses_high(
    examine: Examine, curves: dict[str, list[float]], facts: dict[str, object]
) -> None:
    assert "underfitting" not in examine(curves, **facts)


def test_smoothed_labels_raise_the_loss_of_a_perfect_model(examine: Examine) -> None:
    """With smoothing 0.5 over three labels no training loss can fall below 0.87."""
    curves = {"train/loss": [1.0, 0.88], "eval/loss": [0.9, 0.85]}
    assert "underfitting" not in examine(curves, hyperparameters={"label_smoothing_factor": 0.5})
    assert "underfitting" in examine(curves)


def test_the_loss_of_several_tasks_is_not_held_against_that_of_one(examine: Examine) -> None:
    widening = {"train/loss": [0.50, 0.30], "eval/loss": [0.72, 0.75]}
    high = {"train/loss": [2.1, 2.0, 1.9, 1.8, 1.7], "eval/loss": [0.8, 0.6, 0.45, 0.4, 0.4]}
    assert not examine(widening, every=500, several_tasks=True)
    assert not examine(high, several_tasks=True)
    for other in ({"loss": "focal", "focal_gamma": 2.0}, {"distillation": {"teacher": "model:x"}}):
        assert not examine(widening, every=500, hyperparameters=other)
    crawling = {"train/loss": high["train/loss"], "eval/loss": [1.06, 1.04, 1.01, 0.98, 0.96]}
    found = examine(crawling, several_tasks=True)
    assert list(found) == ["slow_convergence"] and found["slow_convergence"].evidence.startswith("eval/loss fell")
