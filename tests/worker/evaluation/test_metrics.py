"""The scores are those of scikit-learn, also for labels that never occur."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from worker.evaluation import metrics

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
