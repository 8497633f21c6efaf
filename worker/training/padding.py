"""How much of what a run computes only fills batches up."""

from worker.batch import Batch


class Padding:
    """How many tokens were computed, and how many of them only fill up."""

    def __init__(self) -> None:
        self._tokens = 0
        self._padding = 0

    def add(self, batch: Batch) -> None:
        """Count a batch that is still on the CPU."""
        mask = batch.attention_mask
        self._tokens += mask.numel()
        self._padding += mask.numel() - int(mask.sum())

    @property
    def fraction(self) -> float | None:
        """Give the share of padding; None before the first batch."""
        return self._padding / self._tokens if self._tokens else None
