"""Simple models: what they answer, where they are bounded, and that they say so."""

import numpy as np
import pytest

from tests.worker.toy_task import LABELS, toy_rows, toy_sets
from worker.evaluation import baselines
from worker.evaluation.baselines import TooMany, by_words, majority


def same(text: str) -> str:
    return text


def check() -> None:
    return None


def toy(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rows = toy_rows(count, seed=seed)
    return [row.text for row in rows], np.array([LABELS.index(row.label) for row in rows])


def test_majority_is_the_commonest_label_or_set() -> None:
    assert majority(np.array([0, 1, 1]), 2).answers.tolist() == [1, 1]
    sets = np.array([[1, 0], [0, 0], [1, 0]], dtype=bool)
    assert majority(sets, 1).answers.tolist() == [[True, False]]


def test_words_are_learned() -> None:
    texts, truth = toy(200)
    judged, expected = toy(60, seed=1)
    given = by_words(texts, truth, judged, same, check, seed=0)
    assert (given.answers == expected).mean() > 0.9
    assert (given.trained_on, given.note) == (200, None)


def test_each_label_of_a_set_is_learned_by_itself() -> None:
    rows = toy_sets(160)
    truth = np.array([[label in row.labels for label in LABELS] for row in rows])
    truth[:, 2] = True  # nothing to learn here
    given = by_words([row.text for row in rows], truth, [row.text for row in rows[:40]], same, check, seed=0)
    assert (given.answers == truth[:40]).mean() > 0.9
    assert given.answers[:, 2].all()


def test_bounds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, truth = toy(200)
    monkeypatch.setattr(baselines, "MOST_ROWS", 100)
    monkeypatch.setattr(baselines, "SECONDS", 0.0)
    monkeypatch.setattr(baselines, "STEPS", 1)
    given = by_words(texts, truth, texts[:3], same, check, seed=0)
    assert given.trained_on == 100
    assert (
        given.note
        == "it learned from 100 of 200 training rows; its training was ended after 0 s, before it had settled"
    )


def test_too_many_labels_for_a_model_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_LABELS", 2)
    with pytest.raises(TooMany, match="3 labels"):
        by_words(["x"], np.ones((1, 3), dtype=bool), ["x"], same, check, seed=0)
