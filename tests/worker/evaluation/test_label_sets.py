"""Scores of sets of labels against scikit-learn, and thresholds against every threshold there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from app.serving.decision import each_probability as probabilities
from worker.evaluation.label_sets import best_thresholds, score_sets

LABELS = ["a", "b", "c"]
shapes = st.integers(1, 30).map(lambda rows: (rows, 3))


def cases(shape):
    return st.tuples(
        arrays(np.float32, shape, elements=st.floats(-20, 20, width=32)),
        arrays(np.bool_, shape, elements=st.booleans()),
    )


@settings(max_examples=80, deadline=None)
@given(shapes.flatmap(cases), st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3))
def test_scores_are_those_of_scikit_learn(case, thresholds: list[float]) -> None:
    logits, truth = case
    found = score_sets(logits, truth, LABELS, thresholds, split="test")
    given_labels = probabilities(logits) >= thresholds
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, given_labels))
    assert found.hamming_loss == pytest.approx(metrics.hamming_loss(truth, given_labels))
    for average in ("micro", "macro", "weighted"):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            truth, given_labels, average=average, zero_division=0
        )
        assert getattr(found, f"precision_{average}") == pytest.approx(precision)
        assert getattr(found, f"recall_{average}") == pytest.approx(recall)
        assert getattr(found, f"f1_{average}") == pytest.approx(f1)
    assert [scores.support for scores in found.per_class] == truth.sum(axis=0).tolist()


def test_the_loss_is_binary_cross_entropy() -> None:
    import torch

    random = np.random.default_rng(0)
    logits = random.normal(size=(20, 3)).astype(np.float32)
    truth = random.random((20, 3)) < 0.4
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(truth).float()
    )
    assert score_sets(logits, truth, LABELS, [0.5] * 3, split="test").loss == pytest.approx(float(expected), abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(shapes.flatmap(cases))
def test_no_other_threshold_is_better(case) -> None:
    logits, truth = case
    chosen = best_thresholds(logits, truth)
    best = score_sets(logits, truth, LABELS, chosen, split="validation")
    for other in np.unique(probabilities(logits)):
        tried = score_sets(logits, truth, LABELS, [float(other)] * 3, split="validation")
        for ours, theirs in zip(best.per_class, tried.per_class, strict=True):
            assert ours.f1 >= theirs.f1 - 1e-9


def test_a_label_that_no_row_has_keeps_one_half() -> None:
    logits = np.array([[2.0, -1.0], [1.0, -2.0]], dtype=np.float32)
    truth = np.array([[True, False], [True, False]])
    thresholds = best_thresholds(logits, truth)
    assert thresholds[1] == 0.5
    assert 0 < thresholds[0] < 0.74
