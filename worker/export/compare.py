"""Compare what an exported file answers with what the trained model answers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from worker.batch import Batch
from worker.export.source import Answer, Decide, Logits, Rows, Texts, agreement, most_probable
from worker.products import quick_products

ROWS = 64
"""Rows compared, of all lengths; a smaller dataset gives what it has."""
BATCH = 8
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


def compare(known: Reference, answer: Answer, decide: Decide = most_probable) -> Comparison:
    """Let ``answer`` answer the same texts, in the same batches; ``decide`` makes labels of logits."""
    logits = np.concatenate([answer(group) for group in known.texts])
    difference = np.abs(known.logits - logits).max(axis=1)  # (rows,)
    return Comparison(
        rows=len(logits),
        max_abs_difference=float(difference.max()),
        label_agreement=agreement(decide(known.logits), decide(logits)),
        # Labels need not agree: where logits are this close, only a tie can fall the other way.
        equal=bool(np.isfinite(logits).all() and difference.max() <= TOLERANCE),
    )


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
    with quick_products(torch.device("cpu")):
        logits: Logits = model(**batch.inputs).logits.numpy()
    return logits
