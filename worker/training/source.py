"""Where the batches come from."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from worker.batch import Batch

Rows = NDArray[np.int64]


class Source(Protocol):
    """A training split."""

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> Sequence[Rows]:
        """Give the rows of every batch of an epoch, always the same for the same seed and epoch."""

    def load(self, rows: Rows) -> Batch:
        """Make one batch, on the CPU."""
