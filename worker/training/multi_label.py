"""Binary cross-entropy or focal loss label by label, for rows with any number of labels; it adds up as the other."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from app.schemas.hyperparameters import ResolvedHyperparameters
from worker.training.losses import LEAST_DOUBT


class LabelwiseLoss:
    """Sigmoid and the loss of every label's two answers, as a batch's share of its window of batches."""

    def __init__(self, positive_weights: Tensor | None, smoothing: float, gamma: float = 0.0) -> None:
        self._positive_weights = positive_weights  # (labels,)
        self._smoothing = smoothing
        self._gamma = gamma

    @classmethod
    def of(cls, wishes: ResolvedHyperparameters, labels: Sequence[str], device: torch.device) -> "LabelwiseLoss":
        """Make the loss of a run; a class weight says how much a row counts that has the label."""
        weights = wishes.class_weights
        if weights == "none":
            return cls(None, wishes.label_smoothing_factor, wishes.focal_gamma or 0.0)
        ordered = torch.tensor([weights[label] for label in labels], dtype=torch.float32, device=device)
        return cls(ordered, wishes.label_smoothing_factor, wishes.focal_gamma or 0.0)

    def total_weight(self, labels: Tensor) -> Tensor:
        """Count the decisions of a window, (rows, labels): the divisor of its mean."""
        return torch.tensor(float(labels.numel()), device=labels.device)

    def share(self, logits: Tensor, labels: Tensor, window_weight: Tensor) -> Tensor:
        """Give a batch's share of its window's mean loss. Logits and labels are (batch, labels)."""
        smooth = labels * (1 - self._smoothing) + self._smoothing / 2
        return self._sum(logits.float(), smooth) / window_weight

    def hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Count the rows whose every label is as it should be, at a threshold of one half: tuning comes after training.

        Logits and labels are (batch, labels).
        """
        return ((logits > 0) == (labels > 0)).all(dim=-1).sum()

    def _sum(self, logits: Tensor, target: Tensor) -> Tensor:
        if self._gamma == 0:
            return functional.binary_cross_entropy_with_logits(
                logits, target, pos_weight=self._positive_weights, reduction="sum"
            )
        positive = target if self._positive_weights is None else target * self._positive_weights
        return self._focal(logits, positive) + self._focal(-logits, 1 - target)

    def _focal(self, logits: Tensor, target: Tensor) -> Tensor:
        """Sum -q (1 - p)^gamma log p over one of the two answers, p being its sigmoid: Lin et al. 2017, eq. 4."""
        log_likely = functional.logsigmoid(logits)
        doubt = (-torch.expm1(log_likely)).clamp(min=LEAST_DOUBT)
        return -(target * doubt**self._gamma * log_likely).sum()
