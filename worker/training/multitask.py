"""The loss of several tasks: a weighted sum of the mean losses of each, over the rows of the whole window."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.heads import Head
from worker.training.losses import IGNORED, WindowLoss


class MultitaskLoss:
    """Cross-entropy or focal loss of every task over its own logits, as a batch's share of its window of batches.

    The label of a row is the index of its logit among those of all tasks, which tells its task too. A task without a
    row in the window adds nothing.
    """

    def __init__(self, heads: Sequence[Head], losses: Sequence[WindowLoss]) -> None:
        """Take a loss for each head."""
        self._parts = list(zip(heads, losses, strict=True))

    def total_weight(self, labels: Tensor) -> Tensor:
        """Add up the weights of the rows of each task, (tasks,): the divisors of a window. Labels are (rows,)."""
        return torch.stack([loss.total_weight(_own(labels, head)) for head, loss in self._parts])

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's loss. Logits are (batch, labels of all tasks) of any precision."""
        divisors = torch.where(window_weight > 0, window_weight, 1.0)  # (tasks,)
        shares = [
            head.loss_weight * loss.share(logits[:, head.columns], _own(labels, head), divisor)
            for (head, loss), divisor in zip(self._parts, divisors, strict=True)
        ]
        return torch.stack(shares).sum()

    def hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Count the rows that their own task answers right; no other task can hit a label that is not its."""
        return torch.stack([loss.hits(logits[:, head.columns], _own(labels, head)) for head, loss in self._parts]).sum()


def _own(labels: Tensor, head: Head) -> Tensor:
    """Count the labels of a task from 0; rows of other tasks are ignored, which costs less than waiting for a GPU."""
    own = (labels >= head.columns.start) & (labels < head.columns.stop)
    return torch.where(own, labels - head.start, IGNORED)
