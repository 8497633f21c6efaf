"""The history of a job: events numbered 1, 2, 3, ... without a gap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.store import tables

MAX_SEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened to a job, not numbered yet."""

    type: str
    data: Mapping[str, Any]


def append(session: Session, job: tables.Job, new: Iterable[NewEvent], *, at: datetime) -> None:
    """Number and write events of the job's current attempt.

    The caller holds the lock of the job's row (or has just inserted it): that lock is what makes ``seq`` gapless.
    """
    rows = [
        {"job_id": job.id, "seq": seq, "attempt": job.attempt, "type": event.type, "at": at, "data": dict(event.data)}
        for seq, event in enumerate(new, start=last(session, job.id) + 1)
    ]
    if rows:
        session.execute(insert(tables.JobEvent), rows)


def after(session: Session, job_id: str, seq: int, limit: int) -> list[tables.JobEvent]:
    """List at most ``limit`` events with a larger number than ``seq``, oldest first."""
    query = (
        select(tables.JobEvent)
        .where(tables.JobEvent.job_id == job_id, tables.JobEvent.seq > max(0, min(seq, MAX_SEQ)))
        .order_by(tables.JobEvent.seq)
        .limit(limit)
    )
    return list(session.scalars(query))


def last(session: Session, job_id: str) -> int:
    """Give the number of the newest event; 0: there is none."""
    return session.scalar(select(func.max(tables.JobEvent.seq)).where(tables.JobEvent.job_id == job_id)) or 0


def codes(session: Session, job_id: str, type: str) -> frozenset[str]:
    """Give the codes that events of one type have carried so far."""
    query = select(tables.JobEvent.data).where(tables.JobEvent.job_id == job_id, tables.JobEvent.type == type)
    return frozenset(str(data.get("code")) for data in session.scalars(query))
