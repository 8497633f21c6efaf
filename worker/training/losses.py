"""Losses that add up: the parts of a window sum to exactly the loss of one big batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.schemas.hyperparameters import ResolvedHyperparameters

LEAST_DOUBT = 1e-12
IGNORED = -100
"""A row with this label counts nothing; the value is torch's own."""


class WindowLoss:
    """Class-weighted, label-smoothed cross-entropy or focal loss of a batch, as its share of a window of batches.

    The mean of a weighted loss is a sum divided by the weights of the rows it saw. Dividing each batch by its own
    weights and then by the number of batches is another number, the more so with a short last batch: so every
    batch is divided by the weights of the whole window.
    """

    def __init__(self, weights: Tensor | None, smoothing: float, gamma: float = 0.0) -> None:
        self._weights = weights  # (classes,)
        self._smoothing = smoothing
        self._gamma = gamma

    @classmethod
    def of(cls, wishes: ResolvedHyperparameters, labels: Sequence[str], device: torch.device) -> "WindowLoss":
        """Make the loss of a run, with its class weights in the order of ``labels``."""
        weights = wishes.class_weights
        if weights == "none":
            return cls(None, wishes.label_smoothing_factor, wishes.focal_gamma or 0.0)
        ordered = torch.tensor([weights[label] for label in labels], dtype=torch.float32, device=device)
        return cls(ordered, wishes.label_smoothing_factor, wishes.focal_gamma or 0.0)

    def total_weight(self, labels: Tensor) -> Tensor:
        """Add up the weights of rows: the divisor of a window. Labels are (rows,); stays on their device."""
        counted = labels != IGNORED
        if self._weights is None:
            return counted.sum().float()
        return (self._weights[labels.clamp(min=0)] * counted).sum()

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's mean loss. Logits are (batch, classes) of any precision."""
        return self._sum(logits.float(), labels) / window_weight

    def hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Count the rows whose highest logit is that of their label. Logits are (batch, classes)."""
        return (logits.argmax(dim=-1) == labels).sum()

    def _sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self._gamma == 0:
            return functional.cross_entropy(
                logits, labels, weight=self._weights, reduction="sum", label_smoothing=self._smoothing
            )
        return self._focal_sum(functional.log_softmax(logits, dim=-1), labels)

    def _focal_sum(self, log_likely: Tensor, labels: Tensor) -> Tensor:
        """Sum -q (1 - p)^gamma log p over rows and classes, q being the smoothed target: Lin et al. 2017, eq. 5."""
        classes = log_likely.shape[-1]
        target = functional.one_hot(labels.clamp(min=0), classes).to(log_likely.dtype)  # (batch, classes)
        target = target * (1.0 - self._smoothing) + self._smoothing / classes
        target = target * (labels != IGNORED).unsqueeze(-1)
        # The derivative of x^gamma at 0 is infinite for gamma below 1: a sure answer must not become NaN.
        doubt = (-torch.expm1(log_likely)).clamp(min=LEAST_DOUBT)
        loss = -target * doubt**self._gamma * log_likely
        return (loss if self._weights is None else loss * self._weights).sum()
