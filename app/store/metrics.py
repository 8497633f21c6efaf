"""Curves of a job: points written in batches, read back thinned to what a chart can show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, literal, select
from sqlalchemy.orm import Session, aliased

from app.store import tables
from app.store.engine import upsert


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one curve."""

    name: str
    step: int
    epoch: float
    value: float


def append(session: Session, job: tables.Job, points: Iterable[Point], *, at: datetime) -> None:
    """Write points of the job's current attempt; a repeated one replaces itself, NaN is left out."""
    rows = {
        (point.name, point.step): {
            "job_id": job.id,
            "attempt": job.attempt,
            "name": point.name,
            "step": point.step,
            "epoch": point.epoch,
            "value": point.value,
            "at": at,
        }
        for point in points
        if math.isfinite(point.value) and math.isfinite(point.epoch)
    }
    if not rows:
        return
    statement = upsert(session, tables.MetricPoint)
    statement = statement.on_conflict_do_update(
        index_elements=["job_id", "name", "step", "attempt"],
        set_={column: statement.excluded[column] for column in ("epoch", "value", "at")},
    )
    session.execute(statement, list(rows.values()))


def names(session: Session, job_id: str) -> list[str]:
    """List the curves of a job, sorted."""
    query = select(tables.MetricPoint.name).where(tables.MetricPoint.job_id == job_id).distinct()
    return sorted(session.scalars(query))


def history(
    session: Session, job_id: str, names: Sequence[str] | None = None, max_points: int | None = None
) -> list[tables.MetricPoint]:
    """Give the curves of a job by name and step; where attempts overlap, the newest one speaks.

    ``max_points`` (at least 2) thins each curve to steps that are evenly apart and keeps its first and last point.
    """
    return _history(session, job_id, _spans(session, job_id, names), max_points)


def newest(session: Session, job_id: str, most: int) -> list[tables.MetricPoint]:
    """Give the last ``most`` points of each curve, by name and step; where attempts overlap, the newest one speaks."""
    point, newer = tables.MetricPoint, aliased(tables.MetricPoint)
    found: list[tables.MetricPoint] = []
    for name in names(session, job_id):
        replaced = select(newer.id).where(
            newer.job_id == job_id, newer.name == name, newer.step == point.step, newer.attempt > point.attempt
        )
        query = select(point).where(point.job_id == job_id, point.name == name, ~replaced.exists())
        last = session.scalars(query.order_by(point.attempt.desc(), point.step.desc()).limit(most))
        found += sorted(last, key=lambda row: row.step)
    return found


def _history(
    session: Session, job_id: str, spans: Sequence["_Span"], max_points: int | None
) -> list[tables.MetricPoint]:
    most = None if max_points is None else max(2, max_points)
    long = [] if most is None else [span for span in spans if span.rows > most]
    curves = _whole(session, job_id, [span.name for span in spans if span not in long])
    for span in long:
        curves[span.name] = _thinned(session, job_id, span, most or 2)
    return [point for span in spans for point in curves[span.name]]


@dataclass(frozen=True, slots=True)
class Outline:
    """A curve as far as a summary needs it."""

    name: str
    recorded: int
    """Steps that have a value, of which the points are a part."""
    points: list[Point]
    """In order of step: thinned, with the lowest and the highest of all among them."""


def outlines(session: Session, job_id: str, max_points: int) -> list[Outline]:
    """Give every curve by name in at most ``max_points`` + 2 points, whatever its length.

    The extremes of a long one are looked for by the database. Where a later attempt took such a step again, its value
    there is given instead.
    """
    spans = _spans(session, job_id, None)
    curves: dict[str, dict[int, Point]] = {span.name: {} for span in spans}
    rows = _history(session, job_id, spans, max_points)
    long = [span.name for span in spans if span.rows > max_points]
    rows += _extremes(session, job_id, long) if long else []
    for row in rows:
        curves[row.name][row.step] = Point(row.name, row.step, row.epoch, row.value)
    sizes = _steps(session, job_id)
    return [Outline(name, sizes[name], [points[step] for step in sorted(points)]) for name, points in curves.items()]


def _extremes(session: Session, job_id: str, names: Sequence[str]) -> list[tables.MetricPoint]:
    """Give the newest point at the earliest step that has the lowest, and at that with the highest value."""
    point = tables.MetricPoint
    mine = (point.job_id == job_id, point.name.in_(names))
    ends = (
        select(point.name, func.min(point.value).label("low"), func.max(point.value).label("high"))
        .where(*mine)
        .group_by(point.name)
        .subquery()
    )
    earliest = (
        select(point.name, func.min(point.step).label("step"))
        .join(ends, (ends.c.name == point.name) & point.value.in_([ends.c.low, ends.c.high]))
        .where(*mine)
        .group_by(point.name, point.value)
        .subquery()
    )
    there = (earliest.c.name == point.name) & (earliest.c.step == point.step)
    return list(session.scalars(select(point).join(earliest, there).where(*mine).order_by(point.attempt)))


def _steps(session: Session, job_id: str) -> dict[str, int]:
    """Count the steps of each curve, one that several attempts took once."""
    point = tables.MetricPoint
    query = select(point.name, func.count(point.step.distinct()).label("steps")).where(point.job_id == job_id)
    return {row.name: row.steps for row in session.execute(query.group_by(point.name))}


@dataclass(frozen=True, slots=True)
class _Span:
    """How far a curve reaches."""

    name: str
    rows: int
    first: int
    last: int


def _spans(session: Session, job_id: str, names: Sequence[str] | None) -> list[_Span]:
    """Look at each curve, by name; an index holds all that is read."""
    point = tables.MetricPoint
    query = select(point.name, func.count(), func.min(point.step), func.max(point.step)).where(point.job_id == job_id)
    if names is not None:
        query = query.where(point.name.in_(names))
    return [_Span(*row) for row in session.execute(query.group_by(point.name).order_by(point.name))]


def _whole(session: Session, job_id: str, names: Sequence[str]) -> dict[str, list[tables.MetricPoint]]:
    point = tables.MetricPoint
    steps: dict[str, dict[int, tables.MetricPoint]] = {name: {} for name in names}
    query = select(point).where(point.job_id == job_id, point.name.in_(names))
    for row in session.scalars(query.order_by(point.name, point.step, point.attempt)):
        steps[row.name][row.step] = row
    return {name: list(rows.values()) for name, rows in steps.items()}


def _thinned(session: Session, job_id: str, span: _Span, most: int) -> list[tables.MetricPoint]:
    """Give the point at or next behind each of ``most`` steps that are evenly apart, both ends among them.

    Each is looked up in an index, so that 100,000 points take no longer than what is given of them.
    """
    point = tables.MetricPoint
    slots = select(cast(literal(0), BigInteger).label("slot")).cte("slots", recursive=True)
    slots = slots.union_all(select(slots.c.slot + 1).where(slots.c.slot < most - 1))
    ahead = (slots.c.slot * (span.last - span.first) + most - 2) // (most - 1)  # rounded up
    near = aliased(point)
    nearest = (
        select(near.id)
        .where(near.job_id == job_id, near.name == span.name, near.step >= span.first + ahead)
        .order_by(near.step, near.attempt.desc())
        .limit(1)
        .correlate(slots)
        .scalar_subquery()
    )
    chosen = select(nearest).select_from(slots)
    return list(session.scalars(select(point).where(point.id.in_(chosen)).order_by(point.step)))
