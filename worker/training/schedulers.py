"""Learning rate as a factor of its peak: a pure function of the step, the same numbers as torch and transformers give.

There is no state: a resumed run reads its factor off the step number.
"""

import math
from collections.abc import Callable

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.schedules import UNWARMED_TIMESCALE, Scheduler, SchedulerOptions
from worker.training.one_cycle import OneCycle


class Schedule:
    """The learning rate of every step of one run; for ``one_cycle`` AdamW's first beta too."""

    def __init__(self, kind: Scheduler, options: SchedulerOptions, *, warmup_steps: int, total_steps: int) -> None:
        self._kind = kind
        self._options = options.completed(kind)
        self._warmup = warmup_steps
        self._total = total_steps
        self._cycle = OneCycle(self._options, total_steps) if kind == "one_cycle" else None

    @classmethod
    def of(cls, wishes: ResolvedHyperparameters, total_steps: int) -> "Schedule":
        """Make the schedule of a run."""
        options = wishes.lr_scheduler_kwargs or SchedulerOptions()
        return cls(wishes.lr_scheduler_type, options, warmup_steps=wishes.warmup_steps, total_steps=total_steps)

    def factor(self, step: int) -> float:
        """Give the factor for the update after ``step`` finished ones: up from 0 in the warm-up, then the shape.

        The first update of a run with warm-up has factor 0, as in transformers; ``one_cycle`` rises by itself.
        """
        if self._cycle is not None:
            return self._cycle.factor(step)
        if step < self._warmup:
            return step / self._warmup
        return max(0.0, SHAPES[self._kind](self, step - self._warmup))

    def beta1(self, step: int) -> float | None:
        """Give the first beta of that update; None: it stays what it is."""
        return None if self._cycle is None else self._cycle.momentum(step)

    def _progress(self, steps: int) -> float:
        return min(1.0, steps / max(1, self._total - self._warmup))

    def _above_floor(self, height: float) -> float:
        floor = self._options.min_lr_ratio or 0.0
        return floor + (1.0 - floor) * height

    def _linear(self, steps: int) -> float:
        return 1.0 - self._progress(steps)

    def _cosine(self, steps: int) -> float:
        return self._above_floor(_half_cosine(self._progress(steps)))

    def _restarts(self, steps: int) -> float:
        """Begin anew after every cycle: Loshchilov and Hutter, "SGDR", 2017."""
        length = self._options.T_0 or max(1, self._total - self._warmup)
        while steps >= length and (self._options.T_mult or 1) > 1:
            steps, length = steps - length, length * (self._options.T_mult or 1)
        return self._above_floor(_half_cosine((steps % length) / length))

    def _polynomial(self, steps: int) -> float:
        return self._above_floor((1.0 - self._progress(steps)) ** (self._options.power or 1.0))

    def _inverse_sqrt(self, steps: int) -> float:
        timescale = self._options.timescale or self._warmup or UNWARMED_TIMESCALE
        return 1.0 / math.sqrt((steps + timescale) / timescale)

    def _constant(self, _steps: int) -> float:
        return 1.0


def _half_cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SHAPES: dict[Scheduler, Callable[[Schedule, int], float]] = {
    "linear": Schedule._linear,
    "cosine": Schedule._cosine,
    "linear_warmup_cosine": Schedule._cosine,
    "cosine_with_restarts": Schedule._restarts,
    "polynomial": Schedule._polynomial,
    "inverse_sqrt": Schedule._inverse_sqrt,
    "constant": Schedule._constant,
}
"""What comes after the warm-up, by steps since its end; ``one_cycle`` is one shape from its first step on."""
