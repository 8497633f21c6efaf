"""Mixed precision: weights and optimizer stay fp32, the forward pass runs in what the job resolved to."""

from contextlib import AbstractContextManager

import torch

from app.schemas.hyperparameters import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LEAST_SCALE = 1e-4
"""A loss scale below this means that every step was skipped: the gradients overflow at any scale."""


class Arithmetic:
    """The autocast region of a device and, for fp16, the scaler of the loss (Micikevicius et al. 2018)."""

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self.precision = precision
        self._device = device
        # fp16 loses gradients below 6e-8; the scaler lifts them and skips the steps in which they overflow.
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def autocast(self) -> AbstractContextManager[None]:
        """Open a region in which matrix products run in the chosen precision."""
        return torch.autocast(self._device.type, DTYPES[self.precision], enabled=self.precision != "fp32")

    @property
    def scaled(self) -> bool:
        """Whether gradients may overflow without harm: the scaler skips such a step."""
        return self.scaler.is_enabled()
