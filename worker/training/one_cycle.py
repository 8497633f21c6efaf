"""One cycle of learning rate and momentum: up, down, and down to almost nothing; the numbers of torch's OneCycleLR.

Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018.
"""

import math
from dataclasses import dataclass

from app.schemas.schedules import SchedulerOptions


@dataclass(frozen=True, slots=True)
class _Phase:
    """From one turning point to the next."""

    end: float
    """Step number of the turning point; torch has fractions there."""
    factor: tuple[float, float]
    momentum: tuple[float, float]


class OneCycle:
    """Factor of the peak learning rate and momentum by step; takes complete options."""

    def __init__(self, options: SchedulerOptions, total_steps: int) -> None:
        options = options.completed("one_cycle")
        self._cosine = options.anneal_strategy == "cos"
        self._cycles_momentum = bool(options.cycle_momentum)
        self._phases = _phases(options, total_steps)

    def factor(self, step: int) -> float:
        """Give the learning rate as a factor of its peak."""
        phase, share = self._place(step)
        return self._between(*phase.factor, share)

    def momentum(self, step: int) -> float | None:
        """Give the momentum, which AdamW calls its first beta; None when it is not cycled."""
        if not self._cycles_momentum:
            return None
        phase, share = self._place(step)
        return self._between(*phase.momentum, share)

    def _place(self, step: int) -> tuple[_Phase, float]:
        """Find the phase of a step, and how much of it is over."""
        start = 0.0
        for phase in self._phases[:-1]:
            if step <= phase.end:
                return phase, _share(step, start, phase.end)
            start = phase.end
        return self._phases[-1], _share(step, start, self._phases[-1].end)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._cosine:
            return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * share))
        return start + (end - start) * share


def _share(step: int, start: float, end: float) -> float:
    return min(1.0, (step - start) / (end - start)) if end > start else 1.0


def _phases(options: SchedulerOptions, total: int) -> list[_Phase]:
    rise, last = (options.pct_start or 0.0) * total, total - 1
    first = 1.0 / (options.div_factor or 1.0)
    least = first / (options.final_div_factor or 1.0)
    low, high = options.base_momentum or 0.0, options.max_momentum or 0.0
    up = _Phase(rise - 1, (first, 1.0), (high, low))
    if options.three_phase:
        down = _Phase(2 * rise - 2, (1.0, first), (low, high))
        return [up, down, _Phase(last, (first, least), (high, high))]
    return [up, _Phase(last, (1.0, least), (low, high))]
