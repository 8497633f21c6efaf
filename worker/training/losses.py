"""Cross-entropy that adds up: the parts of a window sum to exactly the loss of one big batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.schemas.hyperparameters import ResolvedHyperparameters


class WindowLoss:
    """Class-weighted, label-smoothed cross-entropy of a batch, as its share of a window of batches.

    The mean of a weighted loss is a sum divided by the weights of the rows it saw. Dividing each batch by its own
    weights and then by the number of batches is another number, the more so with a short last batch: so every
    batch is divided by the weights of the whole window.
    """

    def __init__(self, weights: Tensor | None, smoothing: float) -> None:
        self._weights = weights  # (classes,)
        self._smoothing = smoothing

    @classmethod
    def of(cls, wishes: ResolvedHyperparameters, labels: Sequence[str], device: torch.device) -> "WindowLoss":
        """Make the loss of a run, with its class weights in the order of ``labels``."""
        weights = wishes.class_weights
        if weights == "none":
            return cls(None, wishes.label_smoothing_factor)
        ordered = torch.tensor([weights[label] for label in labels], dtype=torch.float32, device=device)
        return cls(ordered, wishes.label_smoothing_factor)

    def total_weight(self, labels: Tensor) -> Tensor:
        """Add up the weights of rows: the divisor of a window. Labels are (rows,); stays on their device."""
        if self._weights is None:
            return torch.tensor(float(len(labels)), device=labels.device)
        return self._weights[labels].sum()

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's mean loss. Logits are (batch, classes) of any precision."""
        total = functional.cross_entropy(
            logits.float(), labels, weight=self._weights, reduction="sum", label_smoothing=self._smoothing
        )
        return total / window_weight
