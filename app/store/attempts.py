"""The verbs of a worker: one attempt of a job, from claim to outcome; each checks first that the claim still stands."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.errors import Conflict, JobFailure
from app.schemas.diagnoses import Diagnosis
from app.schemas.hyperparameters import Resolution
from app.schemas.inspections import Inspection
from app.schemas.jobs import BaseModelRef, BestMetric, JobWarning, Phase, Progress, Status, WorkerRef
from app.schemas.metrics import Evaluation
from app.schemas.usage import Usage
from app.store import claims, events, metrics, transitions
from app.store.breakdown import completed
from app.store.claims import Claim
from app.store.engine import clock
from app.store.events import NewEvent
from app.store.metrics import Point
from app.store.tables import Job

RECONCILER = "reconciler"
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=4), timedelta(minutes=2)
"""Twice what a worker itself pauses: else the same job, whose turn is first, would be the next one it takes."""


class LeaseLost(Conflict):
    """The claim has fallen, or a cancel came first: the attempt must end without writing anything more."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a worker saw since it last wrote; what is None or empty stays as it is."""

    events: Sequence[NewEvent] = ()
    points: Sequence[Point] = ()
    progress: Progress | None = None
    status_reason: str | None = None
    """One sentence for people: what is happening."""
    best_metric: BestMetric | None = None
    last_metrics: Mapping[str, float] | None = None
    """Merged into the newest value of each curve."""
    evaluations: Mapping[str, Evaluation] | None = None
    """By split; merged."""
    hyperparameters: Mapping[str, Any] | None = None
    resolutions: Sequence[Resolution] | None = None
    base_model: BaseModelRef | None = None
    warnings: Sequence[JobWarning] = ()
    diagnoses: Sequence[Diagnosis] | None = None
    """All that the newest examination found; an empty one takes back what was found before."""
    usage: Usage | None = None
    trained_seconds: float | None = None
    """Of all attempts."""
    stop_reason: str | None = None
    device: str | None = None
    inspection: Inspection | None = None


def claim(
    session: Session,
    job_id: str,
    *,
    owner: str,
    queues: Collection[str],
    lease_seconds: float,
    worker: WorkerRef,
) -> Claim | None:
    """Take this job if it still waits; None for a duplicate, late or forged ring."""
    taken = claims.take(session, job_id, owner=owner, queues=queues, lease_seconds=lease_seconds, worker=worker)
    return _began(session, taken)


def claim_next(
    session: Session, *, owner: str, queues: Collection[str], lease_seconds: float, worker: WorkerRef
) -> Claim | None:
    """Take the job whose turn is next; None when nothing waits."""
    first = claims.first_in_line(queues)
    taken = claims.take(session, first, owner=owner, queues=queues, lease_seconds=lease_seconds, worker=worker)
    return _began(session, taken)


def _began(session: Session, taken: Claim | None) -> Claim | None:
    job = None if taken is None else claims.held(session, taken)
    if taken is None or job is None:
        return None
    reason = "A worker has taken the job."
    transitions.note_status(session, job, "queued", reason=reason, actor=taken.owner, at=clock(session))
    return taken


def start_phase(session: Session, claim: Claim, phase: Phase) -> bool:
    """Note that the attempt has entered a phase; False when the claim has fallen."""
    job = claims.held(session, claim)
    if job is None:
        return False
    if job.phase != phase:
        at = clock(session)
        span = {"phase": phase, "attempt": job.attempt, "started_at": at.isoformat(), "finished_at": None}
        job.phase_history = [*transitions.closed(job.phase_history, at), span]
        job.phase = phase
        job.status_reason = f"The job is {phase}."
        events.append(session, job, [NewEvent("phase", {"phase": phase})], at=at)
    return True


def record(session: Session, claim: Claim, batch: Recorded) -> bool:
    """Write what the attempt reports; False, and nothing written, when the claim has fallen."""
    job = claims.held(session, claim)
    if job is None:
        return False
    at = clock(session)
    _note_training(job, batch)
    _note_circumstances(job, batch)
    metrics.append(session, job, batch.points, at=at)
    events.append(session, job, [*batch.events, *_first_told(session, job, batch.diagnoses or ())], at=at)
    return True


def _first_told(session: Session, job: Job, found: Sequence[Diagnosis]) -> list[NewEvent]:
    """Make an event of each diagnosis that this job has not heard of, in no attempt and with no evidence."""
    told = events.codes(session, job.id, "diagnosis") if found else frozenset()
    return [
        NewEvent("diagnosis", diagnosis.model_dump(mode="json")) for diagnosis in found if diagnosis.code not in told
    ]


def _note_training(job: Job, batch: Recorded) -> None:
    if batch.progress is not None:
        job.progress = batch.progress.model_dump(mode="json")
    if batch.status_reason is not None and job.cancel_requested_at is None:
        job.status_reason = batch.status_reason
    if batch.best_metric is not None:
        job.best_metric = batch.best_metric.model_dump()
    if batch.last_metrics:
        job.last_metrics = job.last_metrics | dict(batch.last_metrics)
    if batch.evaluations:
        job.evaluations = job.evaluations | {
            split: evaluation.model_dump(mode="json") for split, evaluation in batch.evaluations.items()
        }
    if batch.stop_reason is not None:
        job.stop_reason = batch.stop_reason


def _note_circumstances(job: Job, batch: Recorded) -> None:
    if batch.hyperparameters is not None:
        job.hyperparameters = dict(batch.hyperparameters)
    if batch.resolutions is not None:
        new = [resolution.model_dump(mode="json") for resolution in batch.resolutions]
        decided = {resolution["field"] for resolution in new}
        # What a profile gave stays beside what the worker has decided.
        job.resolutions = [*(each for each in job.resolutions if each["field"] not in decided), *new]
    if batch.base_model is not None:
        job.base_model = batch.base_model.model_dump()
    if batch.warnings:
        new = [warning.model_dump() for warning in batch.warnings]
        job.warnings = job.warnings + [warning for warning in new if warning not in job.warnings]
    if batch.diagnoses is not None:
        job.diagnoses = [diagnosis.model_dump(mode="json") for diagnosis in batch.diagnoses]
    if batch.usage is not None:
        job.usage = job.usage | batch.usage.model_dump(exclude_unset=True)
    if batch.trained_seconds is not None:
        job.usage = job.usage | {"trained_seconds": batch.trained_seconds}
    if batch.inspection is not None:
        job.inspection = batch.inspection.model_dump(mode="json")
    if batch.device is not None and job.worker is not None:
        job.worker = job.worker | {"device": batch.device}


def release(
    session: Session,
    claim: Claim,
    *,
    crashed: bool,
    reason: str,
    error: Mapping[str, Any] | None = None,
    wait: bool = False,
) -> Status | None:
    """End an attempt that has no outcome, and say what became of the job; None when the claim has fallen.

    A job whose cancel was asked for is cancelled. A crash counts towards ``max_attempts``, an interruption does not.
    ``error`` tells how the attempt ended, for the job that is not tried again. With ``wait``, the job that is tried
    again lets others go first, for longer each time: what one job cannot get must not hold up all.
    """
    for job in claims.give_back(session, claim, crashed=crashed):
        if wait and job.status == "queued":
            job.run_at = clock(session) + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(job.interruption_count - 1, 10))
        return _settle_lost(session, job, reason=reason, actor=claim.owner, error=error)
    return None


def rescue_expired(session: Session, limit: int = 100) -> list[tuple[str, Status]]:
    """Take back the jobs whose worker has been silent for longer than its lease."""
    reason = "The worker went silent and its lease ran out."
    return [
        (job.id, _settle_lost(session, job, reason=reason, actor=RECONCILER, error=None))
        for job in claims.take_back_expired(session, limit)
    ]


def _settle_lost(session: Session, job: Job, *, reason: str, actor: str, error: Mapping[str, Any] | None) -> Status:
    if job.status == "failed":
        job.error = _worker_lost_limit(job, error)
        reason = f"{reason} That was crash {job.crash_count} of {job.max_attempts}: the job is not tried again."
    elif job.status == "queued":
        job.worker = None
        reason = f"{reason} The job waits for another attempt."
    at = clock(session)
    transitions.leave_phase(job, at)
    transitions.note_status(session, job, "running", reason=reason, actor=actor, at=at)
    return transitions.status_of(job)


def _worker_lost_limit(job: Job, last: Mapping[str, Any] | None) -> dict[str, Any]:
    failure = JobFailure(
        detail=f"The job lost its worker {job.crash_count} times and is not tried again.",
        code="worker-lost-limit",
        remedy="Look at the events and the log of its attempts; a smaller batch_size or max_length needs less memory.",
        kind="internal",
        extra={} if last is None else {"cause": dict(last)},
    )
    return failure.as_dict(job.phase)


def fail(session: Session, claim: Claim, error: Mapping[str, Any], reason: str) -> bool:
    """End the job as ``failed``, or as ``cancelled`` if that was asked for before; False when the claim has fallen."""
    job = claims.held(session, claim)
    if job is None:
        return False
    if job.cancel_requested_at is not None:
        transitions.finish(session, job, "cancelled", reason="The client cancelled the job.", actor=claim.owner)
        return True
    job.error = dict(error)
    transitions.finish(session, job, "failed", reason=reason, actor=claim.owner)
    return True


def cancelled(session: Session, claim: Claim, reason: str) -> bool:
    """End the job as ``cancelled``; False when the claim has fallen."""
    job = claims.held(session, claim)
    if job is None:
        return False
    transitions.finish(session, job, "cancelled", reason=reason, actor=claim.owner)
    return True


def succeed(session: Session, claim: Claim, *, reason: str) -> bool:
    """End the job as ``succeeded``; False when the claim has fallen or a cancel was asked for before.

    Only ``models.register_version`` calls it, in the transaction that makes the version.
    """
    job = claims.held(session, claim)
    if job is None or job.cancel_requested_at is not None:
        return False
    job.progress = job.progress | {"fraction": 1.0, "eta_seconds": 0.0}
    transitions.finish(session, job, "succeeded", reason=reason, actor=claim.owner)
    job.usage = completed(job)
    return True
