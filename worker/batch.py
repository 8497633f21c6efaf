"""A batch: what the model is called with, and what it should answer."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded texts with their labels, all on one device."""

    inputs: dict[str, Tensor]
    """What the model is called with, by name and in order: ``input_ids`` and ``attention_mask``, each (pieces, seq)
    int64; of a model that reads chunks also ``chunk_index``, (batch, most) int64."""
    labels: Tensor
    """Index of each text's label, (batch,) int64; of multi_label (batch, labels) float, 1 where it has the label."""
    teacher: Tensor | None = None  # (batch, labels)
    """Logits of the teacher, when there is one."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_ids(self) -> Tensor:
        """Give the ids, (pieces, seq); a piece is a text, or a chunk of one."""
        return self.inputs["input_ids"]

    @property
    def attention_mask(self) -> Tensor:
        """Give the mask, (pieces, seq): 1 for a token, 0 for padding."""
        return self.inputs["attention_mask"]

    def to(self, device: torch.device) -> "Batch":
        """Copy to ``device``; from pinned memory the copy overlaps with what the GPU is doing."""
        if device.type == "cpu":
            return self
        inputs = {name: moved(tensor, device) for name, tensor in self.inputs.items()}
        teacher = None if self.teacher is None else moved(self.teacher, device)
        return Batch(inputs, moved(self.labels, device), teacher)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to ``device``."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
