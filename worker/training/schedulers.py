"""Learning rate as a factor of its peak: a pure function of the step, the same formulas as in transformers.

There is no state: a resumed run reads its factor off the step number.
"""

import math
from collections.abc import Callable

from app.schemas.hyperparameters import Scheduler

Shape = Callable[[float], float]


def _linear(progress: float) -> float:
    return 1.0 - progress


def _cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))  # half a cosine: Loshchilov and Hutter 2017, without restarts


def _constant(_progress: float) -> float:
    return 1.0


SHAPES: dict[Scheduler, Shape] = {"linear": _linear, "cosine": _cosine, "constant": _constant}


def factor(kind: Scheduler, step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Give the factor for the update after ``step`` finished ones: up from 0 in ``warmup_steps``, then the shape.

    The first update of a run with warm-up has factor 0, as in transformers.
    """
    if step < warmup_steps:
        return step / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return max(0.0, SHAPES[kind](min(1.0, progress)))
