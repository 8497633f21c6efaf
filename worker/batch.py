"""A batch: what the model is fed, one row a text."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded texts with their labels, all int64 and on one device."""

    input_ids: Tensor  # (batch, seq)
    attention_mask: Tensor  # (batch, seq)
    labels: Tensor  # (batch,)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Batch":
        """Copy to ``device``; from pinned memory the copy overlaps with what the GPU is doing."""
        if device.type == "cpu":
            return self
        moved = (
            tensor.pin_memory().to(device, non_blocking=True)
            for tensor in (self.input_ids, self.attention_mask, self.labels)
        )
        return Batch(*moved)
