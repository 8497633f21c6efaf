"""Answers of versions that never were: as many right, wrong and in common as a test wants."""

from collections.abc import Sequence

import numpy as np

from app.schemas.judgements import Interval, SliceScores
from app.significance.answers import Answers, row_keys

LABELS = ["a", "b"]


def answers(rows: int, wrong: Sequence[int] = (), *, first: int = 0, labels: Sequence[str] = LABELS) -> Answers:
    """Answer ``rows`` rows, numbered from ``first``, and miss those in ``wrong``."""
    numbers = np.arange(first, first + rows)
    truth = numbers % 2
    given = np.where(np.isin(numbers, list(wrong)), 1 - truth, truth)
    return Answers(
        split="test",
        labels=list(labels),
        several=False,
        keys=row_keys([f"message {number}" for number in numbers], [[labels[index]] for index in truth]),
        truth=truth,
        given=given,
        probabilities=np.full((rows, 2), 0.5, np.float16),
    )


def a_slice(name: str, rows: int, f1_macro: float, accuracy: float = 0.9) -> SliceScores:
    """Make the scores of a slice."""
    span = Interval(low=0.5, high=0.95)
    return SliceScores(
        slice=name,
        split="test",
        rows=rows,
        accuracy=accuracy,
        accuracy_interval=span,
        f1_macro=f1_macro,
        f1_macro_interval=span,
    )
