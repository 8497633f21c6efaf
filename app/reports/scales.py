"""Scales: from values to places on a drawing, with round numbers at the ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

FLAT, TINY = 1e-6, 1e-15
"""Values closer together than this, relative and absolute, are drawn as one level."""
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from ``low``..``high`` to ``start``..``end`` (SVG units; ``end`` may be the smaller one)."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """Give the place of a value, rounded to a tenth of a unit."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def fit(values: Iterable[float], start: float, end: float, *, ticks: int = 5, snug: bool = False) -> Scale:
    """Make a scale that holds all ``values``; ``snug`` ends at the last value instead of the next tick."""
    known = list(values)
    low, high = min(known, default=0.0), max(known, default=1.0)
    if high - low <= max(TINY, FLAT * max(abs(low), abs(high))):
        around = abs(low) * 0.1 if abs(low) > TINY else 1.0
        low, high = low - around, high + around
    step = _step((high - low) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = [number * step for number in range(first, last + 1)]
    if snug:
        marks = [mark for mark in marks if low - step * 1e-6 <= mark <= high + step * 1e-6]
        return Scale(low, high, start, end, tuple(marks))
    return Scale(marks[0], marks[-1], start, end, tuple(marks))


def tick_label(value: float, scale: Scale) -> str:
    """Write a tick with just the digits that tell it from its neighbours."""
    largest = max(abs(scale.low), abs(scale.high))
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else largest
    if abs(value) < step * 1e-6:
        return "0"
    if largest >= 1e6 or largest < 1e-3:
        mantissa, _, exponent = (
            f"{value:.6g}".partition("e") if "e" in f"{value:.6g}" else f"{value:.2e}".partition("e")
        )
        return f"{float(mantissa):g}e{int(exponent)}"
    decimals = max(0, math.ceil(-math.log10(step) - 1e-9)) if step > 0 else 0
    decimals += 1 if round(step, decimals) != round(step, decimals + 2) else 0
    return f"{value:,.{decimals}f}"


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in NICE if nice * power >= rough * (1 - 1e-9))
