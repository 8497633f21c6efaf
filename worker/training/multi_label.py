"""Binary cross-entropy label by label, for rows with any number of labels; it adds up as the other loss does."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.schemas.hyperparameters import ResolvedHyperparameters


class LabelwiseLoss:
    """Sigmoid and binary cross-entropy of every label, as a batch's share of its window of batches."""

    def __init__(self, positive_weights: Tensor | None, smoothing: float) -> None:
        self._positive_weights = positive_weights  # (labels,)
        self._smoothing = smoothing

    @classmethod
    def of(cls, wishes: ResolvedHyperparameters, labels: Sequence[str], device: torch.device) -> "LabelwiseLoss":
        """Make the loss of a run; a class weight says how much a row counts that has the label."""
        weights = wishes.class_weights
        if weights == "none":
            return cls(None, wishes.label_smoothing_factor)
        ordered = torch.tensor([weights[label] for label in labels], dtype=torch.float32, device=device)
        return cls(ordered, wishes.label_smoothing_factor)

    def total_weight(self, labels: Tensor) -> Tensor:
        """Count the decisions of a window, (rows, labels): the divisor of its mean."""
        return torch.tensor(float(labels.numel()), device=labels.device)

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's mean loss. Logits and labels are (batch, labels)."""
        smooth = labels * (1 - self._smoothing) + self._smoothing / 2
        total = functional.binary_cross_entropy_with_logits(
            logits.float(), smooth, pos_weight=self._positive_weights, reduction="sum"
        )
        return total / window_weight
