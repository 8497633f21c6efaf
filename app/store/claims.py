"""Claims: the right of one worker to one attempt of one job, and every statement that gives, proves or takes it.

The attempt number is the fencing token. A worker whose lease was taken back holds an old number, and all it writes
meets no row.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, Update, case, false, func, or_, select, update
from sqlalchemy.orm import Session

from app.schemas.jobs import Progress, WorkerRef
from app.store.engine import now, now_plus
from app.store.tables import Job


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt of one job, held by one worker until its lease runs out."""

    job_id: str
    attempt: int
    owner: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the database answered: whether the job is still held, and what its client wants of it."""

    held: bool
    cancel_requested: bool
    stop_requested: bool = False
    """Whether training is to end with its best checkpoint."""


def take(
    session: Session,
    which: Any,
    *,
    owner: str,
    queues: Collection[str],
    lease_seconds: float,
    worker: WorkerRef,
) -> Claim | None:
    """Turn one ``queued`` job into ``running``, by compare-and-set; ``which`` is its id, or a query for it."""
    started = (
        _claimable(update(Job).where(Job.id == which), queues)
        .values(
            status="running",
            attempt=Job.attempt + 1,
            lease_owner=owner,
            lease_until=now_plus(lease_seconds),
            heartbeat_at=now(),
            started_at=func.coalesce(Job.started_at, now()),
            worker=worker.model_dump(),
            status_reason="A worker has taken the job.",
            phase=None,
            # The attempt begins anew, and so does what it reports.
            progress={},
            best_metric=None,
            last_metrics={},
            evaluations={},
            stop_reason=None,
        )
        .returning(Job.id, Job.attempt)
    )
    row = session.execute(started, execution_options={"synchronize_session": False}).one_or_none()
    return None if row is None else Claim(row.id, row.attempt, owner)


def first_in_line(queues: Collection[str]) -> Any:
    """Query the id of the job that should run next, passing over those that another worker is taking."""
    line = _claimable(select(Job.id), queues).order_by(Job.turn_at, Job.id)
    return line.limit(1).with_for_update(skip_locked=True).scalar_subquery()


def _claimable(statement: Any, queues: Collection[str]) -> Any:
    return statement.where(Job.status == "queued", Job.run_at <= now(), Job.queue.in_(queues))


def held(session: Session, claim: Claim) -> Job | None:
    """Lock and read the job if the claim still stands; None means that nothing may be written any more."""
    query = _guarded(select(Job), claim).with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).one_or_none()


def heartbeat(session: Session, claim: Claim, *, lease_seconds: float, progress: Progress | None = None) -> Heartbeat:
    """Prolong the lease and hear whether a cancel was asked for."""
    values: dict[str, Any] = {"lease_until": now_plus(lease_seconds), "heartbeat_at": now()}
    if progress is not None:
        values["progress"] = progress.model_dump(mode="json")
    beat = _guarded(update(Job), claim).values(**values).returning(Job.cancel_requested_at, Job.stop_requested_at)
    row = session.execute(beat, execution_options={"synchronize_session": False}).one_or_none()
    if row is None:
        return Heartbeat(held=False, cancel_requested=False)
    return Heartbeat(True, row.cancel_requested_at is not None, row.stop_requested_at is not None)


def _guarded(statement: Any, claim: Claim) -> Any:
    return statement.where(Job.id == claim.job_id, Job.attempt == claim.attempt, Job.status == "running")


def give_back(session: Session, claim: Claim, *, crashed: bool) -> list[Job]:
    """End the attempt without an outcome, by compare-and-set; the job, locked, or nothing when the claim has fallen."""
    return _returned(session, _guarded(update(Job), claim), crashed=crashed)


def take_back_expired(session: Session, limit: int) -> list[Job]:
    """End the attempts whose lease ran out, by one compare-and-set, and give their jobs, locked."""
    silent = (Job.status == "running", Job.lease_until < now())
    line = select(Job.id).where(*silent).order_by(Job.lease_until).limit(limit).with_for_update(skip_locked=True)
    expired: CTE = line.cte("expired")
    return _returned(session, update(Job).where(Job.id.in_(select(expired.c.id)), *silent), crashed=True)


def _returned(session: Session, statement: Update, *, crashed: bool) -> list[Job]:
    """Decide in SQL what follows a lost attempt: a wish to cancel first, then the limit of crashes, then the queue."""
    cancelled = Job.cancel_requested_at.is_not(None)
    exhausted = Job.crash_count + 1 >= Job.max_attempts if crashed else false()
    statement = statement.values(
        status=case((cancelled, "cancelled"), (exhausted, "failed"), else_="queued"),
        finished_at=case((or_(cancelled, exhausted), now()), else_=None),
        crash_count=Job.crash_count + int(crashed),
        interruption_count=Job.interruption_count + int(not crashed),
        lease_owner=None,
        lease_until=None,
        rung_at=None,
    ).returning(Job.id)
    ids = session.scalars(statement, execution_options={"synchronize_session": False}).all()
    jobs = select(Job).where(Job.id.in_(ids)).order_by(Job.id).execution_options(populate_existing=True)
    return list(session.scalars(jobs)) if ids else []
