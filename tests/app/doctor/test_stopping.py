"""When training ended against when it was best."""

from collections.abc import Callable

import pytest

from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]


def changes(diagnosis: Diagnosis) -> dict[str, object]:
    return {change.field: change.to for change in diagnosis.changes}


def test_a_best_score_at_the_very_end_asks_for_more_epochs(examine: Examine) -> None:
    found = examine({"eval/f1_macro": [0.45, 0.58, 0.67]}, hyperparameters={"num_train_epochs": 3})

    assert list(found) == ["early_stop_too_early"]
    assert found["early_stop_too_early"].severity == "info"
    assert "0.67 at step 300, better by 0.09" in found["early_stop_too_early"].evidence
    assert changes(found["early_stop_too_early"]) == {"num_train_epochs": 5}


def test_the_bound_that_ended_the_run_is_the_one_to_move(examine: Examine) -> None:
    found = examine({"eval/f1_macro": [0.45, 0.58]}, stop_reason="max_steps", hyperparameters={"max_steps": 200})
    assert changes(found["early_stop_too_early"]) == {"max_steps": 300}

    found = examine(
        {"eval/f1_macro": [0.45, 0.47, 0.49]},
        stop_reason="early_stopping",
        hyperparameters={"early_stopping_threshold": 0.05, "early_stopping_patience": 2},
    )
    assert changes(found["early_stop_too_early"]) == {"early_stopping_threshold": 0.0, "early_stopping_patience": 5}


def test_a_loss_may_be_the_metric_and_then_smaller_is_better(examine: Examine) -> None:
    wishes = {"metric_for_best_model": "loss"}
    assert "early_stop_too_early" in examine({"eval/loss": [0.9, 0.7, 0.5]}, hyperparameters=wishes)
    assert "metric_at_first_epoch" in examine({"eval/loss": [0.5, 0.7, 0.9]}, hyperparameters=wishes)


@pytest.mark.parametrize(
    ("scores", "facts"),
    [
        ([0.45, 0.58, 0.57], {}),
        ([0.70, 0.71, 0.712], {}),  # the last gain is small
        ([0.45, 0.58, 0.67], {"finished": False}),
        ([0.45], {}),
    ],
)
def test_a_settled_or_running_score_asks_for_nothing(
    examine: Examine, scores: list[float], facts: dict[str, object]
) -> None:
    assert "early_stop_too_early" not in examine({"eval/f1_macro": scores}, **facts)


def test_a_best_score_at_the_first_evaluation(examine: Examine) -> None:
    found = examine({"eval/f1_macro": [0.80, 0.76, 0.75, 0.74]}, stop_reason="early_stopping", total_steps=1000)

    assert list(found) == ["metric_at_first_epoch"]
    assert found["metric_at_first_epoch"].severity == "warning"
    assert "0.8 at step 100" in found["metric_at_first_epoch"].evidence
    assert changes(found["metric_at_first_epoch"]) == {
        "learning_rate": 1e-5,
        "eval_strategy": "steps",
        "eval_steps": 25,
        "warmup_steps": 100,
        "dropout": 0.2,
    }


def test_evaluations_by_steps_are_made_more_frequent(examine: Examine) -> None:
    wishes = {"eval_strategy": "steps", "eval_steps": 100}
    found = examine({"eval/f1_macro": [0.80, 0.795, 0.796]}, hyperparameters=wishes)

    assert found["metric_at_first_epoch"].severity == "info"
    assert changes(found["metric_at_first_epoch"])["eval_steps"] == 25


@pytest.mark.parametrize("scores", [[0.80, 0.81, 0.79], [0.80, 0.79]])
def test_a_later_best_or_too_few_evaluations_say_nothing(examine: Examine, scores: list[float]) -> None:
    assert "metric_at_first_epoch" not in examine({"eval/f1_macro": scores})
