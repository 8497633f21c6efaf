"""How many optimizer steps a run takes: the one count that the estimate before a job and its worker share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.schemas.curriculum import CurriculumOptions


@dataclass(frozen=True, slots=True)
class Pace:
    """What decides how many steps an epoch has."""

    groups: Sequence[int]
    """Training rows of each label, altered copies among them."""
    batch_size: int
    accumulation: int
    curriculum: CurriculumOptions | None = None

    def full_epoch(self) -> int:
        """Count the steps of an epoch with all rows; a short last window counts all the same."""
        return self._windows(sum(self.groups))

    def run(self, epochs: int) -> int:
        """Count the steps of a whole run."""
        if self.curriculum is None:
            return epochs * self.full_epoch()
        growing = min(self.curriculum.num_epochs, epochs)
        steps = [self._windows(self.curriculum.size(self.groups, epoch, epochs)) for epoch in range(growing)]
        return sum(steps) + (epochs - growing) * steps[-1]

    def epochs_for(self, steps: int) -> int:
        """Count the epochs that ``steps`` need, the last one perhaps in part."""
        epochs = math.ceil(steps / self.full_epoch())
        while self.run(epochs) < steps:
            epochs += 1
        return epochs

    def _windows(self, rows: int) -> int:
        return math.ceil(math.ceil(rows / self.batch_size) / self.accumulation)
