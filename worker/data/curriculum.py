"""Which training rows an epoch uses: the easiest first, more with every epoch, a pure function of the epoch.

Bengio, Louradour, Collobert and Weston, "Curriculum Learning", 2009.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.schemas.curriculum import CurriculumOptions, taken
from worker.batch import Batch
from worker.data.batches import Batches, bucketed

Indices = NDArray[np.int64]


class Curriculum:
    """The rows of a training split in the order of their difficulty."""

    def __init__(
        self, difficulty: NDArray[np.float64], labels: Indices, options: CurriculumOptions, *, epochs: int
    ) -> None:
        self._options = options
        self._epochs = epochs
        groups = labels if options.by_label else np.zeros_like(labels)
        order = np.argsort(difficulty, kind="stable")
        self._groups = [order[groups[order] == group] for group in np.unique(groups)]

    def rows(self, epoch: int) -> Indices:
        """Give the rows of an epoch, ascending; each epoch has those of the one before and no fewer."""
        wanted = self._options.share(epoch, self._epochs)
        used = [group[: taken(wanted, len(group))] for group in self._groups]
        return np.sort(np.concatenate(used)) if used else np.zeros(0, dtype=np.int64)

    def sizes(self) -> list[int]:
        """Count the rows of every epoch of the run."""
        return [len(self.rows(epoch)) for epoch in range(self._epochs)]


class CurriculumBatches:
    """A training split that gives each epoch its share; drop-in for ``Batches`` in training."""

    def __init__(self, batches: Batches, lengths: Indices, curriculum: Curriculum) -> None:
        self._batches = batches
        self._lengths = lengths
        self._curriculum = curriculum

    def __len__(self) -> int:
        return len(self._batches)

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> list[Indices]:
        """Give the rows of every training batch of one epoch."""
        rows = self._curriculum.rows(epoch)
        return [rows[batch] for batch in bucketed(self._lengths[rows], batch_size, seed=seed, epoch=epoch)]

    def load(self, rows: Indices) -> Batch:
        """Pad the texts of ``rows`` to the longest of them."""
        return self._batches.load(rows)

    def by_length(self, batch_size: int) -> Iterator[Batch]:
        """Give every row of the split once, longest first."""
        return self._batches.by_length(batch_size)
