"""Scores of sets of labels from counts alone: how often each label was right, given, and there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.schemas.metrics import ClassScores, Evaluation

Counts = NDArray[np.int64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MarkCounts:
    """What the scores are made of."""

    rows: int
    right: int
    """Rows with all labels right."""
    wrong: int
    """Wrong decisions, over all labels of all rows."""
    hits: Counts  # (labels,)
    given: Counts  # (labels,)
    support: Counts  # (labels,)

    @classmethod
    def of_marks(cls, truth: Marks, given: Marks) -> "MarkCounts":
        """Count marks, each (rows, labels)."""
        return cls(
            rows=len(truth),
            right=int((given == truth).all(axis=1).sum()),
            wrong=int((given != truth).sum()),
            hits=(given & truth).sum(axis=0),
            given=given.sum(axis=0),
            support=truth.sum(axis=0),
        )

    @classmethod
    def of_sets(cls, truth: Sequence[Sequence[int]], given: Sequence[Sequence[int]], labels: int) -> "MarkCounts":
        """Count sets of indices of labels, one a row."""
        hits, given_rows, support = (np.zeros(labels, np.int64) for _ in range(3))
        right = wrong = 0
        for true, answered in zip(truth, given, strict=True):
            expected, said = set(true), set(answered)
            hits[list(expected & said)] += 1
            given_rows[list(said)] += 1
            support[list(expected)] += 1
            right += expected == said
            wrong += len(expected ^ said)
        return cls(len(truth), right, wrong, hits, given_rows, support)


def score_marks(counts: MarkCounts, labels: Sequence[str], *, split: str, loss: float) -> Evaluation:
    """Turn counts into an evaluation; undefined ratios are 0.

    ``accuracy`` is that of the whole set: every label right.
    """
    hits, given, support = counts.hits, counts.given, counts.support
    precision, recall = _ratio(hits, given), _ratio(hits, support)
    f1 = _ratio(2 * hits, given + support)
    return Evaluation(
        split=split,
        examples=counts.rows,
        loss=loss,
        accuracy=counts.right / max(1, counts.rows),
        hamming_loss=counts.wrong / max(1, counts.rows * len(labels)),
        f1_micro=float(_ratio(2 * hits.sum(), given.sum() + support.sum())),
        precision_micro=float(_ratio(hits.sum(), given.sum())),
        recall_micro=float(_ratio(hits.sum(), support.sum())),
        f1_macro=float(f1.mean()),
        f1_weighted=_weighted(f1, support),
        precision_macro=float(precision.mean()),
        precision_weighted=_weighted(precision, support),
        recall_macro=float(recall.mean()),
        recall_weighted=_weighted(recall, support),
        per_class=[
            ClassScores(
                label=label,
                precision=float(precision[index]),
                recall=float(recall[index]),
                f1=float(f1[index]),
                support=int(support[index]),
            )
            for index, label in enumerate(labels)
        ],
        confusion_matrix=[],
    )


def _ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    numbers = np.asarray(part, dtype=np.float64)
    return np.divide(numbers, whole, out=np.zeros_like(numbers), where=np.asarray(whole) > 0)


def _weighted(values: NDArray[np.float64], support: Counts) -> float:
    total = int(support.sum())
    return float(values @ support / total) if total else 0.0
