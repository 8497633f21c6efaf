"""Failpoints inside a real training: a step at which the GPU is full, a step whose loss is no number.

Only a training process arms one: it has loaded what this changes.
"""

from typing import Any

import torch

from worker.training.stepping import Stepping

_now = [0]
"""The step that is being made."""


def arm(what: str, where: str) -> None:
    """Spoil a step: ``gpu-full``, ``STEP TIMES``, or ``nan``, ``STEP``."""
    _count_steps()
    step, _, times = where.partition(" ")
    if what == "nan":
        _without_number(int(step))
    else:
        _without_memory(int(step), int(times) or 10**9)


def _count_steps() -> None:
    make = Stepping.step

    def made(self: Stepping, window: Any, finished: int) -> Any:
        _now[0] = finished + 1
        return make(self, window, finished)

    Stepping.step = made  # type: ignore[method-assign]


def _without_memory(step: int, times: int) -> None:
    gather = Stepping._gather
    left = iter(range(times))

    def gathered(self: Stepping, window: Any) -> Any:
        if _now[0] == step and next(left, None) is not None:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return gather(self, window)

    Stepping._gather = gathered  # type: ignore[method-assign]


def _without_number(step: int) -> None:
    share = Stepping._share

    def shared(self: Stepping, *args: Any) -> Any:
        loss, hits = share(self, *args)
        return (loss * float("nan") if _now[0] == step else loss), hits

    Stepping._share = shared  # type: ignore[method-assign]
