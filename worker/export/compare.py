"""Compare what an exported file answers with what the trained model answers."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from worker.batch import Batch
from worker.export.source import Answer, Logits, Rows, Texts

ROWS = 64
"""Rows compared, of all lengths; a smaller dataset gives what it has."""
BATCH = 8
WHOLE = (slice(None),)
"""All logits are of one head."""
MOST_PIECES = 32
"""Chunks of documents in one batch, unless a single one has more: a document may be as long as twenty texts."""
TOLERANCE = 1e-3
"""Largest difference of a logit. Both sides compute in fp32 and differ by rounding alone: 1e-6 for six layers, some
1e-5 for two dozen; a frozen branch or a lost mask shows from 1e-2 up."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The trained model's answers to some texts."""

    texts: list[Texts]
    logits: Logits  # (rows, labels)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far another's answers are from the reference."""

    rows: int
    max_abs_difference: float
    label_agreement: float
    equal: bool
    """Rounding explains every difference."""


def reference(model: nn.Module, rows: Rows) -> Reference:
    """Ask the trained model about up to ``ROWS`` rows, in batches of different shapes."""
    groups = (part for group in _groups(rows.spread(ROWS)) for part in rows.packed(group, MOST_PIECES))
    texts = [Texts.of(rows, group) for group in groups]
    return Reference(texts, np.concatenate([_logits(model, group.batch) for group in texts]))


def compare(known: Reference, answer: Answer, heads: Collection[slice] = WHOLE) -> Comparison:
    """Let ``answer`` answer the same texts, in the same batches; each of ``heads`` are logits that have a label."""
    logits = np.concatenate([answer(group) for group in known.texts])
    difference = np.abs(known.logits - logits).max(axis=1)  # (rows,)
    agrees = same_labels(known.logits, logits, heads)
    close = bool(np.isfinite(logits).all() and difference.max() <= TOLERANCE)
    return Comparison(
        rows=len(logits),
        max_abs_difference=float(difference.max()),
        label_agreement=float(agrees.mean()),
        equal=close and bool((agrees | _tied(known.logits, heads)).all()),
    )


def same_labels(one: Logits, other: Logits, heads: Collection[slice]) -> NDArray[np.bool_]:
    """Say for each row, (rows,), whether both give the same label with every head."""
    same: NDArray[np.bool_] = np.all(
        [one[:, head].argmax(axis=1) == other[:, head].argmax(axis=1) for head in heads], axis=0
    )
    return same


def _groups(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    # The shortest and the longest text alone: batches of one, at the ends of what the graph must take.
    yield rows[:1]
    if len(rows) > 1:
        yield rows[-1:]
    middle = rows[1:-1]
    groups = math.ceil(len(middle) / BATCH)
    for first in range(groups):
        # A stride over the lengths, so that every batch has padding.
        yield middle[first::groups]


@torch.inference_mode()
def _logits(model: nn.Module, batch: Batch) -> Logits:
    logits: Logits = model(**batch.inputs).logits.numpy()
    return logits


def _tied(logits: Logits, heads: Collection[slice]) -> NDArray[np.bool_]:
    """Say for each row, (rows,), whether rounding decides the label of some head."""
    best_two = [np.sort(logits[:, head], axis=1)[:, -2:] for head in heads]
    tied: NDArray[np.bool_] = np.any([best[:, 1] - best[:, 0] <= 2 * TOLERANCE for best in best_two], axis=0)
    return tied
