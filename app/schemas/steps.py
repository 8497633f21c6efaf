"""How many optimizer steps a run takes: what the estimate before a job and its worker both count by."""

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


DOCUMENTS_AT_ONCE = 4


def usual_batch_size(rows: int, max_length: int, *, in_chunks: bool) -> tuple[int, str]:
    """Give what ``batch_size`` auto becomes for training ``rows`` of ``max_length`` tokens, with the reason."""
    if in_chunks:
        return DOCUMENTS_AT_ONCE, "documents of many chunks take much memory"
    if rows < 200:
        return 8, f"{rows} training rows: small batches, so that there are enough steps"
    if rows < 1000:
        return 16, f"{rows} training rows, fewer than 1,000"
    if max_length > 256:
        return 16, f"texts of up to {max_length} tokens take much memory"
    return 32, f"{rows} training rows of at most {max_length} tokens"


def usual_epochs(rows: int) -> tuple[int, str]:
    """Give what ``num_train_epochs`` auto becomes for training ``rows``, with the reason."""
    if rows < 5_000:
        return 10, f"{rows} training rows, fewer than 5,000"
    if rows < 20_000:
        return 5, f"{rows} training rows, fewer than 20,000"
    return 3, f"{rows} training rows, 20,000 or more"
