"""Early stopping: patience, threshold, direction, and that the best is the strictly best."""

import pytest

from app.schemas.hyperparameters import SCALAR_METRICS
from app.schemas.metrics import ClassScores, Evaluation
from worker.training.stopping import Stopping, read_metric


def waits(metric: str, values: list[float], *, patience: int | None = 2, threshold: float = 0.0) -> Stopping:
    stopping = Stopping(metric, patience, threshold)
    for step, value in enumerate(values, start=1):
        stopping.update(value, step)
    return stopping


@pytest.mark.parametrize(
    ("metric", "values", "exhausted", "best_step"),
    [
        ("f1_macro", [0.5, 0.6, 0.6], False, 2),
        ("f1_macro", [0.5, 0.6, 0.6, 0.6], True, 2),
        ("f1_macro", [0.5, 0.4, 0.6, 0.5], False, 3),
        ("loss", [0.5, 0.4, 0.45, 0.41], True, 2),
        ("loss", [float("nan"), float("nan")], True, 0),
    ],
)
def test_patience_counts_evaluations_without_improvement(
    metric: str, values: list[float], exhausted: bool, best_step: int
) -> None:
    stopping = waits(metric, values)
    assert (stopping.exhausted, stopping.best_step) == (exhausted, best_step)


def test_gains_below_the_threshold_move_the_best_but_not_the_patience() -> None:
    stopping = waits("accuracy", [0.500, 0.504, 0.508], threshold=0.01)
    assert stopping.exhausted
    assert stopping.best_step == 3


def test_small_gains_that_add_up_to_the_threshold_count() -> None:
    assert not waits("accuracy", [0.500, 0.506, 0.512, 0.513], threshold=0.01).exhausted


@pytest.mark.parametrize(("metric", "values"), [("accuracy", [0.25, 0.5, 0.75]), ("loss", [0.75, 0.5, 0.25])])
def test_a_gain_of_just_the_threshold_does_not_count(metric: str, values: list[float]) -> None:
    assert waits(metric, values[:2], patience=1, threshold=0.25).exhausted
    assert waits(metric, values[:2], patience=1, threshold=0.25).best_step == 2
    assert not waits(metric, values, threshold=0.25).exhausted, "both together are more than the threshold"


def test_without_patience_it_never_stops() -> None:
    assert not waits("accuracy", [0.5] * 100, patience=None).exhausted


def test_state_goes_round() -> None:
    stopping = waits("loss", [0.5, 0.4, 0.6])
    assert Stopping.from_state(stopping.state()) == stopping


def test_reads_every_metric_a_client_may_name() -> None:
    scalars = {name: index / 10 for index, name in enumerate(SCALAR_METRICS)}
    sad = ClassScores(label="sad: or so", precision=0.1, recall=0.2, f1=0.3, support=4)
    evaluation = Evaluation(split="validation", examples=4, per_class=[sad], confusion_matrix=[[4]], **scalars)
    assert {name: read_metric(evaluation, name) for name in SCALAR_METRICS} == scalars
    assert read_metric(evaluation, "precision:sad: or so") == 0.1
    assert read_metric(evaluation, "recall:sad: or so") == 0.2
    assert read_metric(evaluation, "f1:sad: or so") == 0.3
