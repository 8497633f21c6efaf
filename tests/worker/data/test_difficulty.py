"""Difficulty by length, by the loss of a probe, and by a column."""

import numpy as np
import pytest
from sklearn.naive_bayes import MultinomialNB

from app.errors import JobFailure
from worker.data import difficulty
from worker.data.difficulty import FOLDS, SMOOTHING, by_column, by_length, by_probe_loss
from worker.data.encode import Encoded


def encoded(texts: list[list[int]], labels: list[int]) -> Encoded:
    lengths = np.array([len(text) for text in texts])
    return Encoded(
        tokens=np.array([token for text in texts for token in text], dtype=np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        labels=np.array(labels, dtype=np.int64),
        truncated=0,
    )


def test_length_is_the_number_of_tokens() -> None:
    assert by_length(encoded([[1, 2, 3], [4], []], [0, 1, 0])).tolist() == [3, 1, 0]


def random_split(rows: int, length: int) -> Encoded:
    random = np.random.default_rng(0)
    labels = np.arange(rows) % 3
    texts = [random.integers(label * 5, label * 5 + 15, size=length).tolist() for label in labels]
    return encoded(texts, labels.tolist())


def test_the_probe_is_multinomial_naive_bayes_on_the_other_folds() -> None:
    split, seed = random_split(60, 8), 5  # equal lengths, so that the length correction is 1
    counts = np.zeros((60, split.tokens.max() + 1))
    np.add.at(counts, (np.repeat(np.arange(60), split.lengths), split.tokens), 1)
    fold_of = np.random.default_rng(seed).permutation(np.arange(60) % FOLDS)
    expected = np.zeros(60)
    for fold in range(FOLDS):
        held = fold_of == fold
        prior = np.bincount(split.labels[~held], minlength=3) + SMOOTHING
        model = MultinomialNB(alpha=SMOOTHING, class_prior=prior / prior.sum()).fit(counts[~held], split.labels[~held])
        expected[held] = -model.predict_log_proba(counts[held])[np.arange(held.sum()), split.labels[held]]
    assert by_probe_loss(split, classes=3, seed=seed) == pytest.approx(expected)


def test_a_mislabelled_row_is_the_hardest() -> None:
    texts = [[1, 2, 3, 4]] * 20 + [[5, 6, 7, 8]] * 20 + [[1, 2, 3, 4]]
    losses = by_probe_loss(encoded(texts, [0] * 20 + [1] * 21), classes=2, seed=1)
    assert losses.argmax() == 40
    assert losses[:40].max() < 0.1 < losses[40]


def test_a_text_said_twice_is_as_hard_as_said_once() -> None:
    once, twice = [1, 2, 9], [1, 2, 9, 1, 2, 9]
    texts = [[1, 2, 3], [4, 5, 6]] * 10
    alone = by_probe_loss(encoded([*texts, once], [0, 1] * 10 + [0]), classes=2, seed=1)
    doubled = by_probe_loss(encoded([*texts, twice], [0, 1] * 10 + [0]), classes=2, seed=1)
    assert doubled[-1] == pytest.approx(alone[-1])


def test_judging_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = random_split(50, 6)
    whole = by_probe_loss(split, classes=3, seed=1)
    monkeypatch.setattr(difficulty, "_CELLS", 60)
    assert by_probe_loss(split, classes=3, seed=1) == pytest.approx(whole)


@pytest.mark.parametrize("texts", [[[1]], [[1], []], [[], [], []]])
def test_tiny_and_empty_texts_have_a_finite_loss(texts: list[list[int]]) -> None:
    losses = by_probe_loss(encoded(texts, [row % 2 for row in range(len(texts))]), classes=2, seed=1)
    assert np.isfinite(losses).all() and len(losses) == len(texts)


def test_numbers_of_the_dataset_are_taken_as_they_are() -> None:
    assert by_column([2, 0.5], 2).tolist() == [2, 0.5]


@pytest.mark.parametrize("numbers", [[], [1.0]])
def test_rows_without_numbers_are_refused(numbers: list[float]) -> None:
    with pytest.raises(JobFailure) as failure:
        by_column(numbers, 2)
    assert failure.value.code == "no-difficulties"
