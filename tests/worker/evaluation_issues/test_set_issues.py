"""Hard rows and likely wrong labels where a row has any number of labels, on small tables of probabilities."""

import math

import numpy as np
import pytest

from worker.evaluation.set_issues import find_set_issues, hardest_sets, likely_set_errors

NAMES = ["late", "rude", "broken"]
TRUTH = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.1], [0.2, 0.8, 0.1], [0.8, 0.9, 0.1], [0.1, 0.97, 0.1], [0.1, 0.2, 0.05]], dtype=np.float64
)
TEXTS = list("abcde")


def test_the_row_whose_labels_together_cost_most_comes_first() -> None:
    hardest = hardest_sets(PROBABILITIES, TRUTH, PROBABILITIES >= 0.5, TEXTS, NAMES, most=2)
    assert [(each.row, each.label, each.predicted) for each in hardest] == [
        (3, "no label", "rude"),
        (4, "broken", "no label"),
    ]
    first = hardest[0]
    assert first.loss == pytest.approx(-math.log(0.9 * 0.03 * 0.9))
    assert first.label_probability == pytest.approx(0.9 * 0.03 * 0.9)
    assert first.probability == pytest.approx(0.9 * 0.97 * 0.9)


def test_answers_are_those_of_the_thresholds() -> None:
    given = np.array([0.5, 0.98, 0.05]) <= PROBABILITIES
    [hardest] = hardest_sets(PROBABILITIES, TRUTH, given, TEXTS, NAMES, most=1)
    assert hardest.predicted == "broken"


def test_a_label_that_is_missing_is_suspect_when_it_is_as_probable_as_where_it_is_given() -> None:
    """Rows labelled rude have 0.85 on average: row 3 has 0.97, and carries nothing."""
    suspects = likely_set_errors(PROBABILITIES, TRUTH, TEXTS, NAMES)
    assert [(each.row, each.label, each.suggested) for each in suspects] == [
        (3, "no label", "rude"),
        (4, "broken", "no label"),
    ]
    assert (suspects[0].probability, suspects[0].label_probability) == (pytest.approx(0.97), pytest.approx(0.03))


def test_a_label_that_every_row_has_is_never_disowned_for_lack_of_others() -> None:
    always = np.ones((3, 1), dtype=bool)
    assert likely_set_errors(np.array([[0.1], [0.9], [0.9]]), always, list("abc"), ["x"]) == []
    assert likely_set_errors(np.zeros((0, 2)), np.zeros((0, 2), dtype=bool), [], ["x", "y"]) == []


def test_texts_in_two_splits_are_told_with_their_sets() -> None:
    issues = find_set_issues(
        PROBABILITIES[:1],
        TRUTH[:1],
        TRUTH[:1],
        ["The parcel came late"],
        NAMES,
        split="validation",
        splits={"train": ["the parcel came late!", "other"], "validation": ["The parcel came late"], "test": []},
        split_sets={"train": [(0, 2), ()], "validation": [(0,)], "test": []},
    )
    [overlap] = issues.overlaps
    assert overlap.labels == ["late, broken", "late"]
    assert issues.leaked == {"validation": 1}
