"""Which training rows an epoch uses: the easiest first, more with every epoch, a pure function of the epoch.

Bengio, Louradour, Collobert and Weston, "Curriculum Learning", 2009.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.schemas.curriculum import CurriculumOptions
from worker.batch import Batch
from worker.data.batches import Batches, bucketed

Indices = NDArray[np.int64]


def share(options: CurriculumOptions, epoch: int, epochs: int) -> float:
    """Give the share of the rows that ``epoch``, counted from 0, uses in a run of ``epochs``."""
    last = min(options.num_epochs, epochs) - 1
    if epoch >= last:
        return options.final_difficulty
    grown = (options.final_difficulty - options.initial_difficulty) * epoch / last
    return options.initial_difficulty + grown


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
        wanted = share(self._options, epoch, self._epochs)
        # Rounded first: 0.3 of ten rows are three, though 0.1 + 0.2 is a little more than 0.3.
        taken = [group[: max(1, math.ceil(round(wanted * len(group), 9)))] for group in self._groups]
        return np.sort(np.concatenate(taken)) if taken else np.zeros(0, dtype=np.int64)

    def sizes(self) -> list[int]:
        """Count the rows of every epoch of the run."""
        return [len(self.rows(epoch)) for epoch in range(self._epochs)]

    def total_steps(self, batch_size: int, accumulation: int) -> int:
        """Count the optimizer steps of the whole run."""
        return sum(math.ceil(math.ceil(rows / batch_size) / accumulation) for rows in self.sizes())


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
