"""The hardest rows and likely wrong labels, on small tables of probabilities."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.text.excerpts import EXCERPT, excerpt
from worker.evaluation.issues import find_issues, hardest_examples, likely_label_errors

NAMES = ["negative", "neutral", "positive"]
PROBABILITIES = np.array(
    [
        [0.90, 0.05, 0.05],
        [0.01, 0.01, 0.98],
        [0.10, 0.80, 0.10],
        [0.30, 0.30, 0.40],
    ],
    dtype=np.float32,
)
LABELS = np.array([0, 0, 1, 2], dtype=np.int64)
TEXTS = ["bad", "good", "so", "well"]


def test_the_row_that_costs_most_comes_first() -> None:
    hardest = hardest_examples(PROBABILITIES, LABELS, TEXTS, NAMES, most=2)

    assert [each.row for each in hardest] == [1, 3]
    first = hardest[0]
    assert (first.text, first.label, first.predicted) == ("good", "negative", "positive")
    assert first.probability == pytest.approx(0.98)
    assert first.label_probability == pytest.approx(0.01)
    assert first.loss == pytest.approx(-math.log(0.01))


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    (hardest,) = hardest_examples(np.array([[0.0, 1.0]]), np.array([0]), ["x"], ["a", "b"])
    assert 20 < hardest.loss < 30


def test_a_label_is_suspect_when_another_one_claims_the_row_with_its_usual_confidence() -> None:
    """Rows of positive have 0.9 on average: 0.98 reaches that, so row 3, labelled negative, is positive's."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.02, 0.98], [0.1, 0.9], [0.4, 0.6]])
    labels = np.array([0, 0, 1, 0, 1, 0])
    suspects = likely_label_errors(probabilities, labels, list("abcdef"), ["negative", "positive"])

    assert [(each.row, each.label, each.suggested) for each in suspects] == [(3, "negative", "positive")]
    assert suspects[0].probability == pytest.approx(0.98)
    assert suspects[0].label_probability == pytest.approx(0.02)


def test_flipped_labels_are_found_among_many_right_ones() -> None:
    generator = np.random.default_rng(7)
    truth = generator.integers(0, 3, 400)
    probabilities = np.full((400, 3), 0.05)
    probabilities[np.arange(400), truth] = 0.9
    probabilities = generator.dirichlet(np.ones(3), 400) * 0.1 + probabilities * 0.9
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    flipped = set(generator.choice(400, 20, replace=False).tolist())
    labels = truth.copy()
    labels[list(flipped)] = (truth[list(flipped)] + 1) % 3

    suspects = likely_label_errors(probabilities, labels, [""] * 400, NAMES)
    found = [each.row for each in suspects]

    assert set(found) <= flipped
    assert len(found) >= 10
    assert all(NAMES.index(each.suggested) == truth[each.row] for each in suspects)


def test_a_label_without_rows_claims_nothing() -> None:
    probabilities = np.array([[0.1, 0.0, 0.9], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert likely_label_errors(probabilities, np.array([0, 0, 1]), ["a", "b", "c"], NAMES) == []


def test_a_split_without_rows_has_no_issues() -> None:
    nothing = np.zeros((0, 3))
    assert hardest_examples(nothing, np.zeros(0, dtype=np.int64), [], NAMES) == []
    assert likely_label_errors(nothing, np.zeros(0, dtype=np.int64), [], NAMES) == []


@pytest.mark.parametrize(
    ("labels", "texts"), [(LABELS[:3], TEXTS), (LABELS, TEXTS[:3]), (np.array([0, 0, 1, 3]), TEXTS)]
)
def test_what_does_not_belong_together_is_refused(labels: np.ndarray, texts: list[str]) -> None:
    with pytest.raises(ValueError, match="label"):
        hardest_examples(PROBABILITIES, labels, texts, NAMES)


def test_everything_is_found_at_once() -> None:
    issues = find_issues(
        PROBABILITIES,
        LABELS,
        TEXTS,
        NAMES,
        split="validation",
        splits={"train": ["Bad!", "else"], "validation": TEXTS},
        split_labels={"train": np.array([1, 0]), "validation": LABELS},
    )

    assert issues.split == "validation"
    assert issues.hardest[0].text == "good"
    assert issues.label_suspects_total == len(issues.label_suspects)
    assert issues.overlaps[0].labels == ["negative", "neutral"]
    assert issues.leaked == {"validation": 1}


@settings(max_examples=50, deadline=None)
@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Mn"])))
def test_an_excerpt_is_short_and_fit_for_print(text: str) -> None:
    shown = excerpt(text * 50)
    assert len(shown) <= EXCERPT
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not any(char in shown for char in "\n\r\x00\u202e")


def test_a_long_text_is_cut_with_an_ellipsis_and_a_short_one_left_alone() -> None:
    assert excerpt("x" * 1000) == "x" * (EXCERPT - 1) + "…"
    assert excerpt("क्‍ष 👩‍🔬") == "क्‍ष 👩‍🔬"
