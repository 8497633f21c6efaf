"""Jobs: each verb checks and changes one row in one step, and writes what happened beside it.

The states are ``queued -> running -> succeeded | failed | cancelled``, with ``running -> queued`` when an attempt is
lost and ``queued -> cancelled``. A terminal state never changes.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import exists, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.ids import new_id
from app.schemas.hyperparameters import Resolution
from app.schemas.jobs import TERMINAL, BaseModelRef, JobWarning, Status, TrainJobRequest
from app.schemas.keys import CLIENT
from app.store import cursors, events, tables, transitions
from app.store.attempts import (
    LeaseLost,
    Recorded,
    cancelled,
    claim,
    claim_next,
    fail,
    record,
    release,
    rescue_expired,
    start_phase,
    succeed,
)
from app.store.claims import Claim, Heartbeat, heartbeat
from app.store.engine import clock, has_pair, now, now_plus
from app.store.events import NewEvent
from app.store.metrics import Point
from app.store.tables import Job, JobDataset

# The verbs of a worker live in attempts and claims; callers find all of a job's verbs here.
__all__ = [
    "CancelOutcome",
    "Claim",
    "Heartbeat",
    "LeaseLost",
    "NewEvent",
    "Point",
    "Recorded",
    "StopOutcome",
    "cancel",
    "cancelled",
    "claim",
    "claim_next",
    "counts",
    "due_for_ring",
    "ended_in_vain",
    "fail",
    "get",
    "heartbeat",
    "page",
    "queue_position",
    "record",
    "release",
    "rescue_expired",
    "start_phase",
    "stop",
    "submit",
    "succeed",
]

CancelOutcome = Literal["cancelled", "cancelling", "already-finished"]
WORTH_OF_PRIORITY = timedelta(minutes=1)
"""A point of priority is worth a minute of waiting, so that no stream of urgent jobs holds up another for ever."""
StopOutcome = Literal["stopping", "not-begun", "being-cancelled", "already-finished"]


def submit(
    session: Session,
    *,
    request: TrainJobRequest,
    request_sha256: str,
    dataset: tables.Dataset,
    base_model: BaseModelRef,
    warnings: Sequence[JobWarning],
    max_attempts: int,
    resolutions: Sequence[Resolution] = (),
    actor: str = CLIENT,
) -> Job:
    """Put a job into the queue; it exists once the transaction commits.

    Raises NotFound ``dataset-not-found`` when the dataset was deleted meanwhile.
    """
    at = clock(session)
    job = Job(
        id=new_id("job"),
        kind=request.kind,
        status="queued",
        status_reason="Waiting for a worker.",
        model_name=request.model,
        family=request.family.type,
        dataset_id=dataset.id,
        base_model=base_model.model_dump(),
        request=request.model_dump(mode="json"),
        request_sha256=request_sha256,
        hyperparameters=request.hyperparameters.model_dump(mode="json"),
        resolutions=[resolution.model_dump(mode="json") for resolution in resolutions],
        queue=request.queue,
        priority=request.priority,
        run_at=at,
        turn_at=at - request.priority * WORTH_OF_PRIORITY,
        rung_at=at,  # the caller rings right after the commit; if it dies before, a sweep rings again
        attempt=0,
        max_attempts=max_attempts,
        progress={},
        phase_history=[],
        last_metrics={},
        evaluations={},
        warnings=[warning.model_dump() for warning in warnings],
        diagnoses=[],
        usage={},
        user_metadata=dict(request.metadata),
        created_at=at,
    )
    session.add(job)
    try:
        session.flush()
        session.add_all(JobDataset(job_id=job.id, dataset_id=further) for further in set(request.family.dataset_ids))
        session.flush()
    except IntegrityError as error:
        raise NotFound(
            f"Dataset {' or '.join([dataset.id, *request.family.dataset_ids])} does not exist.",
            "dataset-not-found",
            "Upload it through POST /datasets.",
        ) from error
    transitions.note_status(session, job, None, reason="The job was accepted.", actor=actor, at=at)
    return job


def get(session: Session, job_id: str) -> Job | None:
    """Find a job."""
    return session.get(Job, job_id)


def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    status: Status | None = None,
    model: str | None = None,
    search: str | None = None,
    dataset_id: str | None = None,
    created_after: datetime | None = None,
    metadata: Mapping[str, str] | None = None,
) -> tuple[list[Job], str | None]:
    """List jobs, newest first, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
    query = select(Job).order_by(Job.created_at.desc(), Job.id.desc())
    if cursor is not None:
        query = query.where(cursors.older(Job.created_at, Job.id, cursor))
    if status is not None:
        query = query.where(Job.status == status)
    if model is not None:
        query = query.where(Job.model_name == model)
    if search is not None:
        told = (Job.id, Job.model_name, Job.base_model["id"].as_string())
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in told)))
    if dataset_id is not None:
        further = exists().where(JobDataset.job_id == Job.id, JobDataset.dataset_id == dataset_id)
        query = query.where(or_(Job.dataset_id == dataset_id, further))
    if created_after is not None:
        query = query.where(Job.created_at > created_after)
    for key, value in (metadata or {}).items():
        query = query.where(has_pair(Job.user_metadata, key, value))
    rows = list(session.scalars(query.limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id)


def queue_position(session: Session, job: Job) -> int:
    """Count the queued jobs of the same queue that will be taken before ``job``."""
    earlier = tuple_(Job.turn_at, Job.id) < tuple_(job.turn_at, job.id)
    query = select(func.count()).where(Job.status == "queued", Job.queue == job.queue, earlier)
    return session.execute(query).scalar_one()


def counts(session: Session) -> dict[str, int]:
    """Count the jobs of each status; a status without jobs is absent."""
    query = select(Job.status, func.count()).group_by(Job.status)
    return dict(session.execute(query).all())


def lengths(session: Session) -> dict[str, tuple[int, int, datetime | None]]:
    """Count the queued and the running jobs of each queue, and say since when the first one waits."""
    waits, runs = Job.status == "queued", Job.status == "running"
    columns = (
        Job.queue,
        func.count().filter(waits),
        func.count().filter(runs),
        func.min(Job.created_at).filter(waits),
    )
    query = select(*columns).where(Job.status.in_(("queued", "running"))).group_by(Job.queue)
    return {queue: (queued, running, since) for queue, queued, running, since in session.execute(query)}


def of_workers(session: Session) -> dict[str, list[str]]:
    """Name the jobs that each worker is running, by the worker's id."""
    query = select(Job.worker["id"].as_string(), Job.id).where(Job.status == "running").order_by(Job.id)
    found: dict[str, list[str]] = {}
    for worker, job_id in session.execute(query):
        found.setdefault(worker, []).append(job_id)
    return found


def unfinished(session: Session, job_ids: Collection[str]) -> set[str]:
    """Name those of these jobs that have not ended."""
    query = select(Job.id).where(Job.id.in_(job_ids), Job.status.not_in(TERMINAL))
    return set(session.scalars(query))


def ended_in_vain(session: Session, within_seconds: float) -> list[str]:
    """Name the jobs that were begun and have failed or been cancelled within the last seconds."""
    query = select(Job.id).where(
        Job.status.in_(("failed", "cancelled")), Job.attempt > 0, Job.finished_at >= now_plus(-within_seconds)
    )
    return list(session.scalars(query))


def cancel(session: Session, job_id: str, actor: str = CLIENT) -> CancelOutcome | None:
    """End a waiting job at once, or ask the worker of a running one to stop; None when there is no such job.

    Asking twice changes nothing more.
    """
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        return None
    if job.status in TERMINAL:
        return "cancelled" if job.status == "cancelled" else "already-finished"
    if job.status == "queued":
        transitions.finish(session, job, "cancelled", reason="The client cancelled the job.", actor=actor)
        return "cancelled"
    if job.cancel_requested_at is None:
        at = clock(session)
        job.cancel_requested_at = at
        job.status_reason = "The client asked to cancel; the worker is stopping the job."
        events.append(session, job, [NewEvent("cancelling", {"actor": actor})], at=at)
    return "cancelling"


def stop(session: Session, job_id: str, actor: str = CLIENT) -> StopOutcome | None:
    """Ask for the best checkpoint so far as the result; None when there is no such job.

    A job that has never run has none. Asking twice changes nothing more.
    """
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        return None
    if job.status in TERMINAL:
        return "already-finished"
    if job.cancel_requested_at is not None:
        return "being-cancelled"
    if job.attempt == 0:
        return "not-begun"
    if job.stop_requested_at is None:
        at = clock(session)
        job.stop_requested_at = at
        job.status_reason = "The client asked to stop; the best checkpoint so far is kept and exported."
        events.append(session, job, [NewEvent("stopping", {"actor": actor})], at=at)
    return "stopping"


def due_for_ring(session: Session, older_than_seconds: float, limit: int) -> list[tuple[str, str]]:
    """Give ``(id, queue)`` of the waiting jobs whose doorbell was not rung lately, and note that it is rung now."""
    due = (
        Job.status == "queued",
        Job.run_at <= now(),
        or_(Job.rung_at.is_(None), Job.rung_at < now_plus(-older_than_seconds)),
    )
    line = select(Job.id).where(*due).order_by(Job.turn_at, Job.id).limit(limit)
    first = line.with_for_update(skip_locked=True).cte("due")
    ring = update(Job).where(Job.id.in_(select(first.c.id)), *due).values(rung_at=now()).returning(Job.id, Job.queue)
    return [(row.id, row.queue) for row in session.execute(ring, execution_options={"synchronize_session": False})]
