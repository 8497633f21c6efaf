"""Answers of multi-label versions: every label that reaches its threshold, each by itself."""

import numpy as np
import pytest
from scipy.special import expit

from app.artifacts.bundle import Manifest
from app.serving.decision import decision_of
from app.text.tokenizer import Encoded

ENCODED = Encoded(ids=[np.zeros(3, dtype=np.int64)] * 2, tokens=[3, 9], truncated=[False, True])
LOGITS = np.array([[2.0, -1.0, 0.1], [-3.0, -2.0, -1.5]], dtype=np.float32)


def manifest(problem_type: str = "single_label", thresholds: list[float] | None = None) -> Manifest:
    return Manifest.model_construct(labels=["a", "b", "c"], problem_type=problem_type, thresholds=thresholds)


def decide(top_k: int | None = None, all_scores: bool = False, thresholds: list[float] | None = None):
    described = manifest("multi_label", thresholds)
    return decision_of(described)(LOGITS, ENCODED, top_k, all_scores)


def test_labels_above_their_threshold_are_given_most_probable_first() -> None:
    first, second = decide(thresholds=[0.5, 0.2, 0.5])
    assert first.labels == ["a", "c", "b"]
    assert (first.label, first.score) == ("a", pytest.approx(expit(2.0)))
    assert second.labels == []
    assert second.label == "c"
    assert (second.tokens, second.truncated) == (9, True)


def test_without_thresholds_one_half_decides() -> None:
    assert [answer.labels for answer in decide()] == [["a", "c"], []]


def test_scores_are_shown_as_asked_for_and_do_not_add_up_to_one() -> None:
    assert decide()[0].scores is None
    assert decide(top_k=2)[0].scores == {"a": pytest.approx(expit(2.0)), "c": pytest.approx(expit(np.float32(0.1)))}
    assert list(decide(all_scores=True)[1].scores) == ["c", "b", "a"]


def test_a_single_label_version_gives_no_list() -> None:
    [answer, _] = decision_of(manifest())(LOGITS, ENCODED, None, False)
    assert (answer.label, answer.labels) == ("a", None)


def test_logits_of_any_size_have_a_probability() -> None:
    described = manifest("multi_label")
    wild = np.array([[1e4, -1e4, 0.0]] * 2, dtype=np.float32)
    assert decision_of(described)(wild, ENCODED, None, True)[0].scores == {"a": 1.0, "c": 0.5, "b": 0.0}
