"""Scores in numpy, all from one confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.schemas.metrics import ClassScores, Evaluation

Counts = NDArray[np.int64]
Ratios = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _PerClass:
    precision: Ratios  # (classes,)
    recall: Ratios  # (classes,)
    f1: Ratios  # (classes,)
    support: Counts  # (classes,)


def confusion_matrix(truth: Counts, predicted: Counts, classes: int) -> Counts:
    """Count pairs of true (rows) and predicted (columns) labels. Inputs are (rows,), the result (classes, classes)."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def score(matrix: Counts, labels: Sequence[str], *, split: str, loss: float) -> Evaluation:
    """Turn a confusion matrix into an evaluation.

    Undefined ratios are 0. The macro means are over all labels, also those without a row in this split: a model is
    answerable for every label it may give. Weighted means weigh each label by its rows.
    """
    scores = _per_class(matrix)
    examples = int(matrix.sum())
    return Evaluation(
        split=split,
        examples=examples,
        loss=loss,
        accuracy=float(np.trace(matrix) / max(1, examples)),
        f1_macro=float(scores.f1.mean()),
        f1_weighted=_weighted(scores.f1, scores.support),
        precision_macro=float(scores.precision.mean()),
        precision_weighted=_weighted(scores.precision, scores.support),
        recall_macro=float(scores.recall.mean()),
        recall_weighted=_weighted(scores.recall, scores.support),
        f1_micro=float(np.trace(matrix) / max(1, examples)),  # with one label a row, all three are the accuracy
        precision_micro=float(np.trace(matrix) / max(1, examples)),
        recall_micro=float(np.trace(matrix) / max(1, examples)),
        per_class=[
            ClassScores(
                label=label,
                precision=float(scores.precision[index]),
                recall=float(scores.recall[index]),
                f1=float(scores.f1[index]),
                support=int(scores.support[index]),
            )
            for index, label in enumerate(labels)
        ],
        confusion_matrix=matrix.tolist(),
    )


def cross_entropy(logits: NDArray[np.float32], truth: Counts) -> float:
    """Give the mean cross-entropy of logits (rows, classes) for true labels (rows,)."""
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    losses = np.log(np.exp(exact).sum(axis=1)) - exact[np.arange(len(truth)), truth]
    return float(losses.sum() / max(1, len(truth)))


def _per_class(matrix: Counts) -> _PerClass:
    hits = np.diag(matrix).astype(np.float64)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    return _PerClass(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),  # 2PR / (P + R), without dividing twice
        support=support,
    )


def _ratio(part: Ratios, whole: Counts) -> Ratios:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _weighted(values: Ratios, support: Counts) -> float:
    total = int(support.sum())
    return float(values @ support / total) if total else 0.0
