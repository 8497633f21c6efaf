"""A metric history as curves: sorted, one value a step, numbers kept apart from what is not a number."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Protocol

from app.schemas.diagnoses import Observation

TOO_LARGE = 1e30
"""Beyond this a value is as useless as infinity, and sums of such values would overflow."""


class Measured(Protocol):
    """What a point of a curve has, wherever it is stored."""

    @property
    def name(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def epoch(self) -> float: ...
    @property
    def value(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Point:
    """One value at one step."""

    step: int
    epoch: float
    value: float

    @property
    def is_number(self) -> bool:
        """Tell a usable value from NaN, infinity and absurdly large ones."""
        return math.isfinite(self.value) and abs(self.value) <= TOO_LARGE


@dataclass(frozen=True, slots=True)
class Curve:
    """The usable points of one name in order of step; ``broken`` is the first point that was not usable."""

    name: str
    points: tuple[Point, ...] = ()
    broken: Point | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def first(self) -> Point:
        """Give the earliest point; the curve must not be empty."""
        return self.points[0]

    @property
    def last(self) -> Point:
        """Give the latest point; the curve must not be empty."""
        return self.points[-1]

    @property
    def values(self) -> list[float]:
        """List the values in order."""
        return [point.value for point in self.points]

    def head(self, share: float) -> float:
        """Average the first ``share`` of the points, one at least."""
        return fmean(self.values[: max(1, int(len(self) * share))])

    def tail(self, share: float) -> float:
        """Average the last ``share`` of the points, one at least."""
        return fmean(self.values[-max(1, int(len(self) * share)) :])

    def until(self, step: int) -> "Curve":
        """Cut off what came after ``step``."""
        return Curve(self.name, tuple(point for point in self.points if point.step <= step), self.broken)

    def buckets(self, most: int) -> "Curve":
        """Average neighbours until at most ``most`` points are left; each stands where its last one stood."""
        count = min(most, len(self))
        bounds = [len(self) * number // count for number in range(count + 1)] if count else []
        return Curve(self.name, tuple(_merged(self.points[a:b]) for a, b in pairwise(bounds)), self.broken)

    def observe(self, *points: Point) -> list[Observation]:
        """Turn points of this curve into evidence."""
        return [_observation(self.name, point) for point in points]


class History:
    """All curves of one run, by name."""

    def __init__(self, points: Iterable[Measured]) -> None:
        by_name: dict[str, dict[int, Point]] = {}
        for point in points:
            epoch = point.epoch if abs(point.epoch) <= TOO_LARGE else 0.0
            by_name.setdefault(point.name, {})[point.step] = Point(point.step, epoch, float(point.value))
        self._curves = {name: _curve(name, list(steps.values())) for name, steps in by_name.items()}

    @property
    def names(self) -> list[str]:
        """List the names of the curves, sorted."""
        return sorted(self._curves)

    def curve(self, name: str) -> Curve:
        """Give one curve; an empty one when nothing was recorded under ``name``."""
        return self._curves.get(name, Curve(name))

    @property
    def last_epoch(self) -> float:
        """Say how far the run came, in epochs."""
        return max((curve.last.epoch for curve in self._curves.values() if len(curve)), default=0.0)


def extreme(points: Sequence[Point], choose: Callable[..., Point]) -> Point:
    """Pick the lowest (``min``) or highest (``max``) point, the earliest of equals."""
    return choose(points, key=lambda point: point.value)


def _curve(name: str, points: list[Point]) -> Curve:
    ordered = sorted(points, key=lambda point: point.step)
    broken = next((point for point in ordered if not point.is_number), None)
    return Curve(name, tuple(point for point in ordered if point.is_number), broken)


def _merged(points: Sequence[Point]) -> Point:
    return Point(points[-1].step, points[-1].epoch, fmean(point.value for point in points))


def _observation(name: str, point: Point) -> Observation:
    value = point.value if math.isfinite(point.value) else None
    return Observation(name=name, step=point.step, epoch=point.epoch, value=value)
