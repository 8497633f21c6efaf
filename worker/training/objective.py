"""Which loss a run has."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from app.schemas.datasets import ProblemType
from app.schemas.hyperparameters import ResolvedHyperparameters
from worker.heads import Head
from worker.training.losses import WindowLoss
from worker.training.multi_label import LabelwiseLoss
from worker.training.multitask import MultitaskLoss


class Objective(Protocol):
    """A loss whose shares add up over the batches of a window."""

    def total_weight(self, labels: Tensor) -> Tensor:
        """Give what the shares of a window with these labels are divided by."""

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's loss."""

    def hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Count the rows of a batch that are answered right; stays on their device."""


def objective(
    wishes: ResolvedHyperparameters,
    labels: Sequence[str],
    device: torch.device,
    *,
    problem_type: ProblemType,
    heads: Sequence[Head],
) -> Objective:
    """Choose the loss of a run; of several ``heads``, ``labels`` and their weights are those of the first."""
    if problem_type == "multi_label":
        return LabelwiseLoss.of(wishes, labels, device)
    main = WindowLoss.of(wishes, labels, device)
    if len(heads) <= 1:
        return main
    unweighted = wishes.model_copy(update={"class_weights": "none"})
    others = [WindowLoss.of(unweighted, head.labels, device) for head in heads[1:]]
    return MultitaskLoss(heads, [main, *others])
