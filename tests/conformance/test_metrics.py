"""The scores are those of scikit-learn, also for labels that never occur."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

from app.schemas.hyperparameters import Hyperparameters, in_one_name
from worker.evaluation import metrics
from worker.training.stopping import read_metric

CLASSES = 4
LABELS = ["a", "b", "c", "d"]


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40),
)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    matrix = metrics.confusion_matrix(truth, predicted, CLASSES)
    evaluation = metrics.score(matrix, LABELS, split="test", loss=0.5)

    known = list(range(CLASSES))
    assert evaluation.confusion_matrix == confusion_matrix(truth, predicted, labels=known).tolist()
    assert evaluation.accuracy == pytest.approx(accuracy_score(truth, predicted))
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(truth, predicted, labels=known, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert getattr(evaluation, f"{name}_{average}") == pytest.approx(value), name
    single = precision_recall_fscore_support(truth, predicted, labels=known, average=None, zero_division=0)
    for index, scores in enumerate(evaluation.per_class):
        found = (scores.precision, scores.recall, scores.f1, scores.support)
        assert found == pytest.approx([column[index] for column in single])
        assert scores.label == LABELS[index]
    assert evaluation.examples == len(pairs)


def test_label_without_rows_counts_in_the_macro_mean() -> None:
    matrix = metrics.confusion_matrix(np.array([0, 1]), np.array([0, 1]), 3)
    evaluation = metrics.score(matrix, ["a", "b", "c"], split="test", loss=0.0)
    assert evaluation.f1_macro == pytest.approx(2 / 3)
    assert evaluation.f1_weighted == 1.0


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40),
    shares=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
)
def test_weighted_metric_is_the_sum_by_its_formula(pairs: list[tuple[int, int]], shares: list[float]) -> None:
    """Such as 0.3 F1(general) + 0.3 F1(teen) + 0.4 F1(mature), and any other mixture."""
    labels = ["general", "teen", "mature"]
    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    evaluation = metrics.score(metrics.confusion_matrix(truth, predicted, 3), labels, split="validation", loss=0.5)
    weights = [share / sum(shares) for share in shares]
    names = ["f1:general", "f1:teen", "recall:mature", "accuracy"]
    f1 = f1_score(truth, predicted, labels=[0, 1, 2], average=None, zero_division=0)
    recall = recall_score(truth, predicted, labels=[0, 1, 2], average=None, zero_division=0)
    parts = [f1[0], f1[1], recall[2], accuracy_score(truth, predicted)]
    expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    chosen = Hyperparameters(metric_for_best_model=dict(zip(names, weights, strict=True))).metric_for_best_model
    assert read_metric(evaluation, chosen) == pytest.approx(expected, abs=1e-9)


def test_name_of_a_weighted_metric_is_its_formula() -> None:
    assert in_one_name({"f1:general": 0.3, "f1:teen": 0.3, "f1:mature": 0.4}) == (
        "0.3*f1:general + 0.3*f1:teen + 0.4*f1:mature"
    )
    assert in_one_name("f1_macro") == "f1_macro"
    assert in_one_name({f"f1:label {index}": 0.05 for index in range(20)}) == "weighted mean of 20 metrics"
