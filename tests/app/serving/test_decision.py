"""Scores to labels: probabilities that add up, whatever the logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.decision import decide, probabilities
from app.text.tokenizer import Encoded

LABELS = ["a", "b", "c"]
LOGITS = st.lists(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=3, max_size=3), min_size=1, max_size=5)


def encoded(count: int) -> Encoded:
    return Encoded(ids=[], tokens=list(range(count)), truncated=[index % 2 == 1 for index in range(count)])


@given(LOGITS)
def test_probabilities_add_up_and_keep_the_order(rows: list[list[float]]) -> None:
    logits = np.array(rows, np.float32)
    scores = probabilities(logits)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-12)
    best = logits.max(axis=1)
    assert [row[logits[i] == best[i]].min() for i, row in enumerate(scores)] == scores.max(axis=1).tolist()


def test_probabilities_are_those_of_the_formula() -> None:
    expected = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    np.testing.assert_allclose(probabilities(np.array([[1, 2, 3]], np.float32))[0], expected, rtol=1e-12)


def test_each_text_has_its_own_answer() -> None:
    answers = decide(np.array([[3, 1, 2], [0, 0, 5]], np.float32), LABELS, encoded(2))
    assert [(a.label, a.scores, a.tokens, a.truncated) for a in answers] == [
        ("a", None, 0, False),
        ("c", None, 1, True),
    ]
    assert answers[0].score == pytest.approx(np.exp(3) / np.exp([3, 1, 2]).sum())


@pytest.mark.parametrize(
    ("top_k", "everything", "names"),
    [
        (1, False, ["a"]),
        (2, False, ["a", "c"]),
        (9, False, ["a", "c", "b"]),
        (None, True, ["a", "c", "b"]),
        (1, True, ["a", "c", "b"]),
    ],
)
def test_scores_come_most_probable_first(top_k: int | None, everything: bool, names: list[str]) -> None:
    logits = np.array([[3, 1, 2]], np.float32)
    (answer,) = decide(logits, LABELS, encoded(1), top_k=top_k, return_all_scores=everything)
    assert answer.scores is not None
    assert list(answer.scores) == names
    assert answer.scores["a"] == answer.score
    assert list(answer.scores.values()) == sorted(answer.scores.values(), reverse=True)


def test_of_equal_scores_the_first_label_wins() -> None:
    (answer,) = decide(np.zeros((1, 3), np.float32), LABELS, encoded(1), return_all_scores=True)
    assert answer.label == "a"
    assert list(answer.scores or {}) == LABELS
