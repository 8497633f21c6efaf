"""Batches of texts of like length, in an order that is a pure function of seed and epoch."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from app.text.tokenizer import TextEncoder
from worker.batch import Batch
from worker.data.encode import Encoded

Rows = NDArray[np.int64]
FEWEST = 16
"""Texts that stand for a split at least, however long they are."""
MEGA = 50
"""Batches that are sorted by length together: enough to save most padding, few enough to keep the order random."""


def bucketed(lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int) -> list[Rows]:
    """Deal all rows into batches: shuffled, sorted by length within stretches of 50 batches, batches shuffled again.

    Nothing is carried from one epoch to the next, so a resumed run finds its place by counting.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    stretch = MEGA * batch_size
    batches: list[Rows] = []
    for start in range(0, len(order), stretch):
        rows = order[start : start + stretch]
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        batches.extend(rows[first : first + batch_size] for first in range(0, len(rows), batch_size))
    return [batches[index] for index in random.permutation(len(batches))]


def packed(rows: Rows, pieces: NDArray[np.int64], most: int) -> Iterator[Rows]:
    """Deal rows, in their order, into batches of ``most`` pieces at most; a row of more has a batch of its own.

    ``pieces`` (rows,) are the passages of each row that go through the model: one, or the chunks of a document.
    """
    start, held = 0, 0
    for place, count in enumerate(pieces.tolist()):
        if held + count > most and place > start:
            yield rows[start:place]
            start, held = place, 0
        held += count
    if start < len(rows):
        yield rows[start:]


class Batches:
    """One split as padded batches."""

    def __init__(self, split: Encoded, encoder: TextEncoder) -> None:
        self._split = split
        self._encoder = encoder

    def __len__(self) -> int:
        return len(self._split)

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> list[Rows]:
        """Give the rows of every training batch of one epoch."""
        return bucketed(self._split.lengths, batch_size, seed=seed, epoch=epoch)

    @property
    def split(self) -> Encoded:
        """Give what the batches are made of."""
        return self._split

    def load(self, rows: Rows) -> Batch:
        """Pad the texts of ``rows`` to the longest of them."""
        feed = self._encoder.feed(self.ids(rows))
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        labels = torch.from_numpy(self._split.labels[rows])
        return Batch(inputs, labels.float() if labels.ndim == 2 else labels)

    def ids(self, rows: Rows) -> list[NDArray[np.int64]]:
        """Give the ids of ``rows``, one array a text."""
        return [self._split.ids(row) for row in rows]

    def packed(self, rows: Rows, most: int) -> Iterator[Rows]:
        """Deal rows, in their order, into batches that the model reads at once: ``most`` texts, or chunks of texts."""
        return packed(rows, self._encoder.pieces(self._split.lengths[rows]), most)

    def longest_first(self, batch_size: int) -> Iterator[Rows]:
        """Deal every row once, longest first: least padding, and too little memory shows at once."""
        return self.packed(self.longest(len(self)), batch_size)

    def longest(self, count: int) -> Rows:
        """Give the ``count`` longest rows, the longest first."""
        return np.argsort(-self._split.lengths, kind="stable")[:count]

    def by_length(self, batch_size: int) -> Iterator[Batch]:
        """Give every row once, longest first."""
        return map(self.load, self.longest_first(batch_size))

    def first(self, count: int, batch_size: int) -> Iterator[Batch]:
        """Give the first ``count`` rows as they come in the file."""
        return map(self.load, self.packed(np.arange(min(count, len(self))), batch_size))

    def spread(self, count: int) -> Rows:
        """Give up to ``count`` rows evenly over all lengths, from the shortest to the longest.

        Of texts in chunks fewer, so that they are about ``count`` chunks, but no fewer than 16 texts.
        """
        order = np.argsort(self._split.lengths, kind="stable")
        per_text = float(self._encoder.pieces(self._split.lengths).mean()) if len(self) else 1.0
        count = max(min(count, FEWEST), int(count / per_text))
        return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64))]
