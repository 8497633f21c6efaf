"""What a trained model shows about its data: the hardest rows, likely wrong labels, texts that leak between splits."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.datasets import SplitName
from app.schemas.issues import HardExample, LabelSuspect, TaskIssues
from app.text.excerpts import excerpt
from worker.evaluation.overlaps import leaked_rows, overlapping_texts

Probabilities = NDArray[np.floating]
Indices = NDArray[np.integer]

MOST_HARD, MOST_SUSPECTS, MOST_OVERLAPS = 20, 50, 50
LEAST_PROBABILITY = 1e-12
"""Keeps the loss of a row finite where softmax has underflowed to 0."""


def find_issues(
    probabilities: Probabilities,
    labels: Indices,
    texts: Sequence[str],
    names: Sequence[str],
    *,
    split: SplitName,
    splits: Mapping[SplitName, Sequence[str]],
    split_labels: Mapping[SplitName, Indices],
) -> TaskIssues:
    """Look for everything this module knows: the model's ``probabilities`` for ``split``, the texts of all ``splits``.

    Shapes as in ``hardest_examples``. Raises ValueError when they do not fit together.
    """
    suspects = likely_label_errors(probabilities, labels, texts, names)
    overlaps = overlapping_texts(splits, split_labels, names)
    return TaskIssues(
        split=split,
        hardest=hardest_examples(probabilities, labels, texts, names),
        label_suspects=suspects[:MOST_SUSPECTS],
        label_suspects_total=len(suspects),
        overlaps=overlaps[:MOST_OVERLAPS],
        overlaps_total=len(overlaps),
        leaked=leaked_rows(overlaps),
    )


def hardest_examples(
    probabilities: Probabilities, labels: Indices, texts: Sequence[str], names: Sequence[str], *, most: int = MOST_HARD
) -> list[HardExample]:
    """List the rows with the highest cross-entropy, the worst first.

    ``probabilities`` (rows, labels) sum to 1 in each row, ``labels`` (rows,) index ``names``. Raises ValueError when
    the shapes do not fit.
    """
    _check(probabilities, labels, texts, names)
    true = _of(probabilities, labels)
    losses = -np.log(np.maximum(true, LEAST_PROBABILITY))
    predicted = probabilities.argmax(axis=1) if len(labels) else labels
    return [
        HardExample(
            row=int(row),
            text=excerpt(texts[row]),
            label=names[labels[row]],
            predicted=names[predicted[row]],
            probability=float(probabilities[row, predicted[row]]),
            label_probability=float(true[row]),
            loss=float(losses[row]),
        )
        for row in np.argsort(-losses, kind="stable")[:most]
    ]


def likely_label_errors(
    probabilities: Probabilities, labels: Indices, texts: Sequence[str], names: Sequence[str]
) -> list[LabelSuspect]:
    """List rows that another label claims with at least its usual confidence, the surest first.

    Confident learning (Northcutt, Jiang, Chuang 2021): the threshold of a label is its mean probability over the rows
    that carry it. Only meaningful for rows the model was not trained on. Shapes and errors as in ``hardest_examples``.
    """
    _check(probabilities, labels, texts, names)
    if not len(labels):
        return []
    claimed = np.where(probabilities >= _thresholds(probabilities, labels), probabilities, -1.0)  # (rows, labels)
    suggested = claimed.argmax(axis=1)  # (rows,)
    true = _of(probabilities, labels)
    margins = _of(probabilities, suggested) - true
    suspects = np.flatnonzero((claimed.max(axis=1) >= 0) & (suggested != labels) & (margins > 0))
    return [
        LabelSuspect(
            row=int(row),
            text=excerpt(texts[row]),
            label=names[labels[row]],
            suggested=names[suggested[row]],
            probability=float(probabilities[row, suggested[row]]),
            label_probability=float(true[row]),
        )
        for row in suspects[np.argsort(-margins[suspects], kind="stable")]
    ]


def _thresholds(probabilities: Probabilities, labels: Indices) -> NDArray[np.float64]:
    """Average each label's probability over the rows that carry it; a label without rows can claim none."""
    width = probabilities.shape[1]
    counts = np.bincount(labels, minlength=width)  # (labels,)
    sums = np.bincount(labels, weights=_of(probabilities, labels), minlength=width)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def _of(probabilities: Probabilities, labels: Indices) -> Probabilities:
    """Pick one label's probability from each row."""
    picked: Probabilities = probabilities[np.arange(len(labels)), labels]
    return picked


def _check(probabilities: Probabilities, labels: Indices, texts: Sequence[str], names: Sequence[str]) -> None:
    if probabilities.shape != (len(texts), len(names)) or labels.shape != (len(texts),):
        raise ValueError(
            f"probabilities {probabilities.shape}, labels {labels.shape}, {len(texts)} texts and {len(names)} names "
            "do not belong together"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(f"labels must lie between 0 and {len(names) - 1}")
