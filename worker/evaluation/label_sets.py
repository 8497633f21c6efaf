"""Scores of sets of labels: each label a yes or no of its own, decided by its threshold."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.schemas.metrics import Evaluation
from app.serving.decision import EVEN, Logits, each_probability
from worker.batch import Batch
from worker.evaluation.marks import MarkCounts, score_marks

Truth = NDArray[np.bool_]


@torch.inference_mode()
def answers(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[None]],
    check: Callable[[], None],
) -> tuple[Logits, Truth]:
    """Ask the model about every row; logits and truth, each (rows, labels). Leaves it in evaluation mode."""
    model.eval()
    logits, truth = [], []
    for batch in batches:
        check()
        moved = batch.to(device)
        with autocast():
            logits.append(model(**moved.inputs).logits.float())
        truth.append(moved.labels)
    return torch.cat(logits).cpu().numpy(), torch.cat(truth).cpu().numpy().astype(bool)


def score_sets(
    logits: Logits,
    truth: Truth,
    labels: Sequence[str],
    thresholds: Sequence[float],
    *,
    split: str,
    temperature: float = 1.0,
) -> Evaluation:
    """Judge answers, (rows, labels), each label given where its probability reaches its threshold.

    ``accuracy`` is that of the whole set: every label right. Undefined ratios are 0. The loss is plain binary
    cross-entropy, the mean over all labels of all rows, whatever the temperature.
    """
    given = each_probability(logits, temperature) >= np.asarray(thresholds)  # (rows, labels)
    exact = logits.astype(np.float64)
    loss = float((np.logaddexp(0.0, exact) - exact * truth).mean())
    return score_marks(MarkCounts.of_marks(truth, given), labels, split=split, loss=loss)


def best_thresholds(logits: Logits, truth: Truth, temperature: float = 1.0) -> list[float]:
    """Give each label the threshold with the highest F1 on these rows; 0.5 for a label that no row has.

    Of equally good ones, the nearest to 0.5. A threshold lies halfway between two probabilities that occur.
    """
    scores = each_probability(logits, temperature)
    return [_best_threshold(scores[:, label], truth[:, label]) for label in range(scores.shape[1])]


def _best_threshold(scores: NDArray[np.float64], truth: Truth) -> float:
    positives = int(truth.sum())
    if positives == 0:
        return EVEN
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + positives)  # of giving the label to the first 1, 2, ... rows
    below = np.append(ranked[1:], 0.0)
    cuts = np.flatnonzero(ranked > below)  # equal scores cannot be told apart
    best = cuts[f1[cuts] >= f1[cuts].max() - 1e-12]
    middles = (ranked[best] + below[best]) / 2
    return float(middles[np.argmin(np.abs(middles - EVEN))])
