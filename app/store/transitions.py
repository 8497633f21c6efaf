"""What every change of a job's status does to its locked row, and the line it leaves in the job's history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.orm import Session

from app.schemas.jobs import Status
from app.store import events
from app.store.engine import clock
from app.store.events import NewEvent
from app.store.tables import Job


def finish(session: Session, job: Job, status: Status, *, reason: str, actor: str) -> None:
    """Turn a locked job into a terminal state."""
    before, at = status_of(job), clock(session)
    job.status = status
    job.finished_at = at
    job.lease_owner = job.lease_until = None
    leave_phase(job, at)
    note_status(session, job, before, reason=reason, actor=actor, at=at)


def note_status(session: Session, job: Job, before: Status | None, *, reason: str, actor: str, at: datetime) -> None:
    """Tell in the row and in the history that the status of a locked job has changed from ``before``."""
    job.status_reason = reason
    session.flush()
    data = {"from": before, "to": job.status, "reason": reason, "actor": actor}
    events.append(session, job, [NewEvent("status", data)], at=at)


def leave_phase(job: Job, at: datetime) -> None:
    """End the phase that the job is in, if any."""
    job.phase = None
    job.phase_history = closed(job.phase_history, at)


def closed(spans: Sequence[Mapping[str, Any]], at: datetime) -> list[dict[str, Any]]:
    """Give the phase history with its open span ended."""
    return [dict(span) | {"finished_at": span["finished_at"] or at.isoformat()} for span in spans]


def status_of(job: Job) -> Status:
    """Read the status with its type; the column has a CHECK constraint."""
    return cast(Status, job.status)
