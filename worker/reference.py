"""How a model answered the rows that it was judged on, as small histograms: what later calls are compared with."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.datasets import SplitName
from app.schemas.histograms import (
    CONFIDENCE_BINS,
    NO_LABEL,
    TOKEN_EDGES,
    Reference,
    confidence_bin,
    token_bin,
)
from app.serving.decision import each_probability, probabilities
from app.text.tokenizer import TextEncoder
from worker.judging import Judge

MOST_ROWS = 20_000
"""Rows that are counted: the first ones."""


def reference_of(
    judge: Judge, encoder: TextEncoder, split: SplitName, logits: NDArray[np.float32], texts: Sequence[str]
) -> Reference:
    """Count how the first rows of a split were answered; logits are (rows, labels), texts at least as many."""
    logits = logits[:MOST_ROWS]
    score = probabilities if judge.thresholds is None else each_probability
    best = score(logits, judge.temperature).max(axis=1)
    lengths = encoder.lengths(texts[: len(logits)])
    return Reference(
        split=split,
        texts=len(logits),
        labels=_labels(judge, logits),
        confidence=_counts((confidence_bin(float(value)) for value in best), CONFIDENCE_BINS),
        tokens=_counts(map(token_bin, lengths), len(TOKEN_EDGES) + 1),
    )


def _labels(judge: Judge, logits: NDArray[np.float32]) -> dict[str, int]:
    given = judge.decide(logits)
    if judge.thresholds is None:
        counts = Counter(judge.labels[int(index)] for index in given)
    else:
        counts = Counter(judge.labels[int(index)] for row in given for index in np.flatnonzero(row))
        counts[NO_LABEL] = int((~given.any(axis=1)).sum())
    return {label: count for label, count in sorted(counts.items()) if count}


def _counts(bins: Iterable[int], width: int) -> list[int]:
    found = Counter(bins)
    return [found[index] for index in range(width)]
