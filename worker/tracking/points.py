"""The points that what is seen of a run adds to its curves."""

import math
from collections.abc import Mapping, Sequence

from app.schemas.metrics import Evaluation, TaskEvaluation
from app.store.metrics import Point
from worker.events import Evaluated, Event, Stepped

MOST_LABEL_CURVES = 100
"""Above this many labels, the scores of single labels stay in the evaluations and make no curves."""
SCALARS = tuple(
    name
    for name in TaskEvaluation.model_fields
    if name not in {"split", "examples", "per_class", "confusion_matrix", "calibration"}
)


def points_of(event: Event) -> list[Point]:
    """Give the points that an event adds to the curves, as they come: a loss may be no number any more."""
    match event:
        case Stepped() if event.logged:
            return _step_points(event)
        case Evaluated() if event.evaluation.split == "validation":
            return _evaluation_points(event)
        case _:
            return []


def finite(points: Sequence[Point]) -> list[Point]:
    """Leave out what is no number."""
    return [point for point in points if math.isfinite(point.value)]


def _step_points(event: Stepped) -> list[Point]:
    values = {
        "loss": event.loss,
        "learning_rate": event.learning_rate,
        "grad_norm": event.grad_norm,
        "examples_per_second": event.examples_per_second,
    } | event.values
    return _points("train", event, values)


def _evaluation_points(event: Evaluated) -> list[Point]:
    values: dict[str, float | None] = {event.metric_name: event.metric_value, **scalars(event.evaluation)}
    if len(event.evaluation.per_class) <= MOST_LABEL_CURVES:
        values |= {f"f1:{scores.label}": scores.f1 for scores in event.evaluation.per_class}
    return _points("eval", event, values)


def _points(group: str, event: Stepped | Evaluated, values: Mapping[str, float | None]) -> list[Point]:
    return [
        Point(f"{group}/{name}", event.step, event.epoch, value) for name, value in values.items() if value is not None
    ]


def scalars(evaluation: Evaluation) -> dict[str, float]:
    """Give the scores that are single numbers, by name; some exist for sets of labels alone.

    Those of further tasks have the task before their name: ``emotion/f1_macro``.
    """
    values = {name: getattr(evaluation, name) for name in SCALARS}
    for task, judged in evaluation.tasks.items():
        values |= {f"{task}/{name}": getattr(judged, name) for name in SCALARS}
    return {name: value for name, value in values.items() if value is not None}
