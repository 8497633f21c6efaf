"""Counters and histograms that one thread counts and any thread reads, exported as Prometheus knows them.

Those of ``prometheus_client`` lock and check at each count: 11 of the 121 microseconds that a prediction took beside
its inference.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Count so many more."""
        self.value += amount


class Spread:
    """How often values fell between bounds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each bound what is at most that and more than the bound before; of the last what is more than all."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Take in one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


ChildT = TypeVar("ChildT")


class _Family(Collector, Generic[ChildT]):
    """What is counted under one name, by the values of its labels."""

    def __init__(self, name: str, words: str, labels: Sequence[str], make: Callable[[], ChildT]) -> None:
        self._name, self._words, self._labels = name, words, labels
        self._make = make
        self._children: dict[tuple[str, ...], ChildT] = {}

    def labels(self, *values: str) -> ChildT:
        """Give what counts for these values of the labels."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {', '.join(self._labels)}")
        return self._children.setdefault(values, self._make())

    def _counted(self) -> list[tuple[tuple[str, ...], ChildT]]:
        return list(self._children.items())  # in one step, as others may be added meanwhile


class TallyFamily(_Family[Tally]):
    """A counter; ``name`` ends with ``_total``."""

    def __init__(self, name: str, words: str, labels: Sequence[str], *, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(name, words, labels, Tally)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give what was counted."""
        family = CounterMetricFamily(self._name, self._words, labels=self._labels)
        for values, tally in self._counted():
            family.add_metric(values, tally.value)
        yield family


class SpreadFamily(_Family[Spread]):
    """A histogram with these upper bounds."""

    def __init__(
        self,
        name: str,
        words: str,
        labels: Sequence[str],
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        super().__init__(name, words, labels, lambda: Spread(buckets))
        self._bounds = [*map(floatToGoString, buckets), "+Inf"]
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give what was counted."""
        family = HistogramMetricFamily(self._name, self._words, labels=self._labels)
        for values, spread in self._counted():
            below = accumulate(list(spread.counts))
            family.add_metric(values, list(zip(self._bounds, below, strict=True)), spread.total)
        yield family
