"""How hard each training row is, as one number a row: its length, the loss of a probe, or a column of the dataset."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, JobFailure
from worker.data.encode import Encoded

Difficulties = NDArray[np.float64]  # (rows,)
FOLDS = 5
SMOOTHING = 0.1
"""Added to every count of the probe, so that an unseen token is unlikely and not impossible."""
_CELLS = 4_000_000
"""Numbers (classes x tokens) that the probe holds at a time."""


def by_length(split: Encoded) -> Difficulties:
    """Take the tokens of each text after truncation."""
    return split.lengths.astype(np.float64)


def by_column(numbers: Sequence[float], rows: int) -> Difficulties:
    """Take the numbers that the rows were uploaded with. Raises JobFailure ``no-difficulties``."""
    if len(numbers) != rows:
        raise JobFailure(
            detail=f"{len(numbers)} of {rows} training rows have a number that says how hard they are.",
            code="no-difficulties",
            remedy="Upload the dataset with a difficulty_column, or use difficulty 'length' or 'probe_loss'.",
            errors=(
                FieldError("/hyperparameters/curriculum/difficulty", "no-difficulties", "needs numbers in the rows"),
            ),
        )
    return np.array(numbers, dtype=np.float64)


def by_probe_loss(split: Encoded, *, classes: int, seed: int) -> Difficulties:
    """Give the cross-entropy of a multinomial naive Bayes probe on each row, trained on the folds without it.

    All texts count as if they had the median length (Rennie et al., "Tackling the Poor Assumptions of Naive Bayes Text
    Classifiers", 2003): else long texts would be either trivial or impossible.
    """
    rows, vocabulary = len(split), int(split.tokens.max(initial=0)) + 1
    fold_of = np.random.default_rng(seed).permutation(np.arange(rows) % FOLDS)  # (rows,)
    row_of = np.repeat(np.arange(rows), split.lengths)  # (tokens,)
    counts = _token_counts(split.tokens, split.labels[row_of], classes, vocabulary)
    losses = np.zeros(rows)
    for fold in range(min(FOLDS, rows)):
        held = fold_of == fold
        inside = held[row_of]
        seen = counts - _token_counts(split.tokens[inside], split.labels[row_of[inside]], classes, vocabulary)
        prior = np.bincount(split.labels[~held], minlength=classes) + SMOOTHING
        losses[held] = _losses(
            split, np.flatnonzero(held), _log_normalized(seen + SMOOTHING), np.log(prior / prior.sum())
        )
    return losses


def _token_counts(tokens: NDArray[np.int32], labels: NDArray[np.int64], classes: int, vocabulary: int) -> Difficulties:
    cells = labels * vocabulary + tokens
    return np.bincount(cells, minlength=classes * vocabulary).reshape(classes, vocabulary).astype(np.float64)


def _log_normalized(counts: Difficulties) -> Difficulties:
    logs: Difficulties = np.log(counts / counts.sum(axis=1, keepdims=True))
    return logs


def _losses(split: Encoded, rows: NDArray[np.int64], likelihood: Difficulties, prior: Difficulties) -> Difficulties:
    """Judge ``rows``; ``likelihood`` is (classes, vocabulary), ``prior`` (classes,), both logarithms."""
    typical = float(np.median(split.lengths))
    losses = np.zeros(len(rows))
    for chosen in _chunks(split.lengths[rows], len(prior)):
        ids = [split.tokens[split.starts[row] : split.starts[row + 1]] for row in rows[chosen]]
        lengths = np.array([len(tokens) for tokens in ids])
        sums = np.concatenate(
            [np.zeros((len(prior), 1)), np.cumsum(likelihood[:, np.concatenate(ids)], axis=1)], axis=1
        )
        ends = np.cumsum(lengths)
        evidence = (sums[:, ends] - sums[:, ends - lengths]) * (typical / np.maximum(lengths, 1))  # (classes, rows)
        scores = prior[:, None] + evidence
        scores -= scores.max(axis=0)
        scores -= np.log(np.exp(scores).sum(axis=0))
        losses[chosen] = -scores[split.labels[rows[chosen]], np.arange(len(ids))]
    return losses


def _chunks(lengths: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Cut rows into runs of few enough tokens, one row at least."""
    run_of = (np.cumsum(lengths) - lengths) // max(1, _CELLS // classes)
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(run_of)) + 1)
