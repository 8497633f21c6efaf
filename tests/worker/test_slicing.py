"""Scores on parts of the rows: by thirds of length, and by the values that the dataset keeps."""

from dataclasses import replace

import numpy as np
import pytest

from tests.app.api.judged import answers
from worker.data.rows import Rows
from worker.slicing import slices_of


def nothing() -> None:
    """Let it go on."""


def test_each_part_is_judged_by_itself() -> None:
    judged = answers(90, wrong=range(0, 90, 3))
    texts = ["x" * (10 + number) for number in range(90)]
    # 40 rows of web, where only "a" occurs; the others say nothing, or another word.
    slices = [{"source": "web"} if number % 2 == 0 and number < 80 else {} for number in range(90)]
    slices[89] = {"source": "mail", "language": "fr"}
    found = {scores.slice: scores for scores in slices_of(judged, Rows(texts, [], slices=slices), nothing)}
    assert [(name, scores.rows) for name, scores in found.items()] == [
        ("length=short", 30),
        ("length=medium", 30),
        ("length=long", 30),
        ("source=web", 40),
        ("source=mail", 1),
        ("language=fr", 1),
    ]
    assert found["length=medium"].detail == "40 to 69 characters"
    web = found["source=web"]
    right = 40 - 14
    assert web.accuracy == pytest.approx(right / 40)
    assert web.accuracy_interval.low < web.accuracy < web.accuracy_interval.high
    assert web.f1_macro == pytest.approx(2 * right / (2 * right + 14)), "only the label that occurs counts"
    assert web.f1_macro_interval.low < web.f1_macro < web.f1_macro_interval.high
    assert found["source=mail"].accuracy == 1.0


def test_sets_of_labels_are_judged_too_and_few_or_equal_texts_are_not_cut() -> None:
    truth = np.array([[True, False, False]] * 3 + [[False, False, False]])
    one = answers(4)
    sets = replace(one, several=True, labels=["a", "b", "c"], truth=truth, given=truth.copy())
    rows = Rows(["same"] * 4, [], slices=[{"by": "me"}] * 4)
    [mine] = slices_of(sets, rows, nothing)
    assert (mine.slice, mine.rows, mine.accuracy, mine.f1_macro) == ("by=me", 4, 1.0, 1.0)
    assert slices_of(answers(60), Rows(["same"] * 60, []), nothing) == []
