"""Which evaluation is the best so far, and when to give up waiting for a better one."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from app.schemas.metrics import Evaluation

Metric = str | dict[str, float]


def read_metric(evaluation: Evaluation, metric: Metric) -> float:
    """Read a scalar metric, or ``f1:LABEL``, ``precision:LABEL``, ``recall:LABEL``; add several up by their weights."""
    if isinstance(metric, str):
        return _read(evaluation, metric)
    return sum(weight * _read(evaluation, name) for name, weight in metric.items())


def _read(evaluation: Evaluation, name: str) -> float:
    kind, _, label = name.partition(":")
    if not label:
        return float(getattr(evaluation, kind))
    return next(float(getattr(scores, kind)) for scores in evaluation.per_class if scores.label == label)


@dataclass(slots=True)
class Stopping:
    """Early stopping with patience, in evaluations, and a threshold, in the metric's unit.

    The best checkpoint is the strictly best evaluation; patience counts from the last evaluation that was better by
    more than the threshold, so many small gains that add up to more count as one.
    """

    metric: Metric
    patience: int | None
    threshold: float
    best: float | None = None
    best_step: int = 0
    reference: float | None = None
    waited: int = 0

    def update(self, value: float, step: int) -> bool:
        """Take note of an evaluation; True when it is the best so far. NaN is never the best."""
        if self._beats(value, self.reference, self.threshold):
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        improved = self._beats(value, self.best, 0.0)
        if improved:
            self.best, self.best_step = value, step
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """Give what a resumed run needs."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Stopping":
        """Go on where ``state`` was taken."""
        return cls(**state)

    def _beats(self, value: float, other: float | None, by_more_than: float) -> bool:
        if math.isnan(value):
            return False
        if other is None:
            return True
        return value < other - by_more_than if self.metric == "loss" else value > other + by_more_than
