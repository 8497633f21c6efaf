"""Calibration: how far probabilities can be taken at their word, and the temperature that mends them."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.schemas.metrics import CalibrationScores, ReliabilityBin
from app.serving.decision import Logits, Probabilities, each_probability, probabilities

BINS = 15
"""Of equal width, as in Guo et al., "On Calibration of Modern Neural Networks", 2017."""
FEWEST_ROWS = 100
"""Rows below which a temperature says more about these rows than about the model."""
COLDEST, HOTTEST = 0.05, 20.0
PRIOR = 1.0
"""Weight of log(T)^2 beside the sum of the losses: a few rows that are all answered right must not make it icy."""
MOST_LOGITS = 2_000_000
"""Logits that a temperature is fitted on; of more, rows at even distances."""
_STEPS, _NARROWINGS = 25, 20
_GOLDEN = (math.sqrt(5) - 1) / 2

Truth = NDArray[np.int64] | NDArray[np.bool_]
"""The label of each row, (rows,); of multi_label which ones it has, (rows, labels)."""


def measure(logits: Logits, truth: Truth, temperature: float = 1.0) -> CalibrationScores:
    """Judge the probabilities of logits, (rows, labels).

    The expected calibration error is the mean distance, over bins of equal width, between how sure the answers of a bin
    are and how many of them are right, each bin weighed by its answers. With one label a row an answer is its most
    probable label; of multi_label every label of every row is one, "sure" is its probability and "right" that the row
    has it. A bin takes in its upper end. The Brier score is the mean squared error, summed over the labels of a row, or
    of multi_label over single labels; the loss is that of the natural logarithm.
    """
    if truth.ndim == 2:
        scores = each_probability(logits, temperature)
        squares = ((scores - truth) ** 2).mean()
        sure, right = scores.ravel(), truth.astype(np.bool_).ravel()
    else:
        scores = probabilities(logits, temperature)
        hits = np.zeros_like(scores)
        hits[np.arange(len(truth)), truth.astype(np.int64)] = 1.0
        squares = ((scores - hits) ** 2).sum(axis=1).mean()
        sure, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    bins = _bins(sure, right)
    return CalibrationScores(
        ece=sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / max(1, len(sure)),
        nll=_loss_of(logits, truth)(temperature),
        brier=float(squares),
        bins=bins,
    )


def fit_temperature(logits: Logits, truth: Truth) -> float:
    """Find the temperature with the least loss on these rows; 1 where none is better."""
    rows = _spread(len(logits), MOST_LOGITS // logits.shape[1])
    loss = _loss_of(logits[rows], truth[rows])
    weight = PRIOR / len(rows)

    def cost(power: float) -> float:
        return loss(math.exp(power)) + weight * power**2

    best = _least(cost, math.log(COLDEST), math.log(HOTTEST))
    return round(math.exp(best), 4) if cost(best) < cost(0.0) else 1.0


def _bins(sure: Probabilities, right: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Sort answers into bins by how sure they are; empty bins are left out."""
    index = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    confidence, hits = (np.bincount(index, weights=values, minlength=BINS) for values in (sure, right))
    return [
        ReliabilityBin(
            start=place / BINS,
            count=int(counts[place]),
            confidence=float(confidence[place] / counts[place]),
            accuracy=float(hits[place] / counts[place]),
        )
        for place in np.flatnonzero(counts).tolist()
    ]


def _loss_of(logits: Logits, truth: Truth) -> Callable[[float], float]:
    """Give the mean loss of logits as a function of the temperature."""
    exact = logits.astype(np.float64)
    if truth.ndim == 2:
        marks = truth.astype(np.float64)
        return lambda temperature: float((np.logaddexp(0.0, exact / temperature) - exact / temperature * marks).mean())
    exact -= exact.max(axis=1, keepdims=True)
    own = exact[np.arange(len(truth)), truth.astype(np.int64)]
    return lambda temperature: float((np.log(np.exp(exact / temperature).sum(axis=1)) - own / temperature).mean())


def _least(cost: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function is least: on a grid, then by golden section around its best place."""
    grid = np.linspace(low, high, _STEPS)
    place = int(np.argmin([cost(value) for value in grid]))
    low, high = float(grid[max(0, place - 1)]), float(grid[min(_STEPS - 1, place + 1)])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = cost(left), cost(right)
    for _ in range(_NARROWINGS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = cost(right)
    return (low + high) / 2


def _spread(rows: int, most: int) -> NDArray[np.int64]:
    """Choose up to ``most`` rows at even distances, but no fewer than a fit wants."""
    return np.unique(np.linspace(0, rows - 1, min(rows, max(most, FEWEST_ROWS))).round().astype(np.int64))
