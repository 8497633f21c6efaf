"""The bootstrap: the rows of a split drawn anew many times, to see how much of a score is the luck of the draw.

Rows that are alike (the same truth and answers) are one kind; a draw is how often each kind came, and a score a
function of that. With few kinds a draw is one multinomial number, so a million rows cost no more than a thousand.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.judgements import Interval
from app.significance.answers import Marks

RESAMPLES = 1000
SEED = 42
CONFIDENCE = 0.95

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], Sequence[float]]
"""Turns how often each kind of row came, (kinds,), into scores."""


def intervals(kinds: NDArray[np.int64], statistic: Statistic, *, seed: int = SEED) -> list[Interval]:
    """Give the 95 % percentile interval of each score; ``kinds`` (rows,) numbers the kind of each row from 0."""
    scores = np.array([statistic(weights) for weights in _draws(kinds, np.random.default_rng(seed))])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(scores, [tail, 100 - tail], axis=0)
    return [Interval(low=float(one), high=float(other)) for one, other in zip(low, high, strict=True)]


def kinds_of(columns: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct rows of ``columns``, (rows, columns): give a row of each kind, and the kind of each row."""
    flat = np.ascontiguousarray(columns)
    as_one = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1])))[:, 0]
    _, first, kinds = np.unique(as_one, return_index=True, return_inverse=True)
    return first.astype(np.int64), kinds.astype(np.int64).reshape(-1)


def _draws(kinds: NDArray[np.int64], random: "np.random.Generator") -> Iterator[Weights]:
    rows = len(kinds)
    counts = np.bincount(kinds)
    if len(counts) * 5 < rows:
        for _ in range(RESAMPLES):
            yield random.multinomial(rows, counts / rows).astype(np.float64)
    else:
        for _ in range(RESAMPLES):
            drawn = kinds[random.integers(0, rows, rows)]
            yield np.bincount(drawn, minlength=len(counts)).astype(np.float64)


def f1_of_indices(truth: NDArray[np.int64], given: NDArray[np.int64], labels: int) -> Callable[[Weights], float]:
    """Make the macro F1 of kinds with one label each: truth and answer (kinds,)."""
    hit = truth == given
    hits = truth[hit]

    def count(index: NDArray[np.int64], weights: Weights) -> Weights:
        return np.bincount(index, weights, labels).astype(np.float64)

    def score(weights: Weights) -> float:
        return _macro(count(hits, weights[hit]), count(truth, weights) + count(given, weights))

    return score


def f1_of_marks(truth: Marks, given: Marks) -> Callable[[Weights], float]:
    """Make the macro F1 of kinds with any number of labels: truth and answer (kinds, labels)."""
    hits = (truth & given).astype(np.float64)
    both = truth.astype(np.float64) + given

    def score(weights: Weights) -> float:
        return _macro(weights @ hits, weights @ both)

    return score


def _macro(hits: Weights, whole: Weights) -> float:
    """Average F1 over all labels; that of a label that nobody has and nobody was given is 0, as everywhere here."""
    return float(np.divide(2 * hits, whole, out=np.zeros_like(hits), where=whole > 0).mean())
