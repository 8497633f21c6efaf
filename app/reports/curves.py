"""The curves of a report: thinned for drawing, their extremes taken from every point."""

from collections.abc import Mapping, Sequence

from app.doctor.history import Curve, History, Point, extreme
from app.schemas.reports import CurvePoint, ReportedCurve

MOST_POINTS = 240
MOST_CURVES = 60
"""A model with a hundred labels has a curve for each; a report shows the first ones by name."""
_FIRST = ("train/loss", "eval/loss", "eval/f1_macro", "eval/accuracy", "train/accuracy")


def reported_curves(history: History, recorded: Mapping[str, int]) -> list[ReportedCurve]:
    """Summarize every curve: the losses first, then the scores, then the others by name, further tasks last.

    ``recorded`` counts the points of those of which the history has only a part.
    """
    others = sorted((name for name in history.names if name not in _FIRST), key=lambda name: name.count("/") > 1)
    names = [*(name for name in _FIRST if name in history.names), *others]
    curves = [history.curve(name) for name in names]
    return [_reported(curve, recorded.get(curve.name, len(curve))) for curve in curves if len(curve)][:MOST_CURVES]


def _reported(curve: Curve, recorded: int) -> ReportedCurve:
    return ReportedCurve(
        name=curve.name,
        recorded=recorded,
        first=_point(curve.first),
        last=_point(curve.last),
        lowest=_point(extreme(curve.points, min)),
        highest=_point(extreme(curve.points, max)),
        points=[_point(point) for point in _thinned(curve.points)],
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(number * last / (MOST_POINTS - 1))] for number in range(MOST_POINTS)]


def _point(point: Point) -> CurvePoint:
    return CurvePoint(step=point.step, epoch=point.epoch, value=point.value)
