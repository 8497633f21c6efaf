"""Failpoints inside a real training: a step at which the GPU is full, a step whose loss is no number.

Only a training process arms one: it has loaded what this changes.
"""

from typing import Any

import torch

from worker.training.loop import Training


def arm(what: str, where: str) -> None:
    """Spoil a step: ``gpu-full``, ``STEP TIMES``, or ``nan``, ``STEP``."""
    step, _, times = where.partition(" ")
    if what == "nan":
        _without_number(int(step))
    else:
        _without_memory(int(step), int(times) or 10**9)


def _without_memory(step: int, times: int) -> None:
    gather = Training._gather
    left = iter(range(times))

    def gathered(self: Training, window: Any) -> Any:
        if self.step + 1 == step and next(left, None) is not None:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return gather(self, window)

    Training._gather = gathered  # type: ignore[method-assign]


def _without_number(step: int) -> None:
    share = Training._share

    def shared(self: Training, *args: Any) -> Any:
        loss, hits = share(self, *args)
        return (loss * float("nan") if self.step + 1 == step else loss), hits

    Training._share = shared  # type: ignore[method-assign]
