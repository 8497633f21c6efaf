"""Texts that occur in more than one split."""

from collections.abc import Mapping

import numpy as np
import pytest

from app.schemas.datasets import SplitName
from app.schemas.issues import Overlap
from worker.evaluation.overlaps import leaked_rows, normalized, overlapping_texts

NAMES = ["negative", "positive"]


def overlaps(splits: Mapping[SplitName, list[tuple[str, int]]]) -> list[Overlap]:
    return overlapping_texts(
        {split: [text for text, _ in rows] for split, rows in splits.items()},
        {split: np.array([label for _, label in rows]) for split, rows in splits.items()},
        NAMES,
    )


def test_a_text_that_differs_only_in_dress_overlaps() -> None:
    found = overlaps(
        {
            "train": [("Great  phone!!", 1), ("great phone", 1), ("awful", 0)],
            "validation": [("GREAT phone https://t.co/x", 1), ("fine", 1)],
            "test": [("Awful.", 0)],
        }
    )

    assert [(each.text, each.rows, each.labels) for each in found] == [
        ("Great  phone!!", {"train": 2, "validation": 1}, ["positive"]),
        ("awful", {"train": 1, "test": 1}, ["negative"]),
    ]
    assert leaked_rows(found) == {"validation": 1, "test": 1}


def test_texts_whose_labels_contradict_each_other_come_first() -> None:
    found = overlaps({"train": [("a b", 1), ("c d", 1)], "test": [("a b", 1), ("c d", 0)]})
    assert [each.labels for each in found] == [["negative", "positive"], ["positive"]]


def test_copies_within_one_split_do_not_leak() -> None:
    assert overlaps({"train": [("same", 0), ("same", 0)], "validation": [("other", 0)]}) == []


def test_an_overlap_without_the_training_split_leaks_nothing() -> None:
    found = overlaps({"train": [("x", 0)], "validation": [("y", 0)], "test": [("y", 0)]})
    assert len(found) == 1
    assert leaked_rows(found) == {}


def test_texts_of_nothing_but_punctuation_are_not_taken_for_the_same() -> None:
    assert overlaps({"train": [("?!", 0), ("", 0)], "test": [("...", 0), ("  ", 0)]}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I love it 😀", "I love it 😡"),
        ("कि", "की"),  # vowel signs are marks, not letters
        ("5 stars", "1 stars"),
        ("not good", "good"),
    ],
)
def test_what_changes_the_meaning_stays(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ｆｕｌｌ", "full"),
        ("e\u0301te\u0301", "été"),
        ("a\tb\u200b", "“A” b…"),
        ("x\ud800", "X \ud800"),
    ],
)
def test_what_is_only_dress_does_not(one: str, other: str) -> None:
    assert normalized(one).replace(" ", "") == normalized(other).replace(" ", "")


def test_a_lone_surrogate_is_no_accident() -> None:
    assert len(overlaps({"train": [("x\ud800", 0)], "test": [("x\ud800", 0)]})) == 1
