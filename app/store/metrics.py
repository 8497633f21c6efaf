"""Curves of a job: points written in batches, read back thinned to what a chart can show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, func, or_, select
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

    ``max_points`` (at least 2) thins each curve evenly and keeps its first and last point.
    """
    points = _curves(job_id, names)
    query = select(aliased(tables.MetricPoint, points)).order_by(points.c.name, points.c.step)
    if max_points is not None:
        query = query.where(_kept(points, max(2, max_points)))
    return list(session.scalars(query))


def _curves(job_id: str, names: Sequence[str] | None) -> Subquery:
    """Number the points of each curve, once each step is left with its newest attempt."""
    point = tables.MetricPoint
    age = func.row_number().over(partition_by=(point.name, point.step), order_by=point.attempt.desc())
    wanted = [point.job_id == job_id] if names is None else [point.job_id == job_id, point.name.in_(names)]
    steps = select(point, age.label("age")).where(*wanted).subquery()
    number = func.row_number().over(partition_by=steps.c.name, order_by=steps.c.step)
    total = func.count().over(partition_by=steps.c.name)
    return select(steps, number.label("number"), total.label("total")).where(steps.c.age == 1).subquery()


def _kept(points: Subquery, most: int) -> ColumnElement[bool]:
    """Choose ``most`` points of each curve: number n of N falls into slot (n-1)*(most-1) // (N-1), the first stays."""
    spread = func.nullif(points.c.total - 1, 0)
    slot = (points.c.number - 1) * (most - 1) // spread
    slot_before = (points.c.number - 2) * (most - 1) // spread
    return or_(points.c.total <= most, points.c.number == 1, slot != slot_before)
