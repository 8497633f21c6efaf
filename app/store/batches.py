"""Batch predictions: errands that are resumed behind their last whole chunk, and their history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ids import new_id
from app.schemas.batches import BATCH_ENDED, BatchColumns, BatchOptions
from app.schemas.evaluations import Judging
from app.schemas.keys import CLIENT
from app.store import tables
from app.store.engine import clock, now_plus
from app.store.errands import MOST_LOSSES, Beat, ErrandClaim, Errands, ended, queued
from app.store.events import MAX_SEQ
from app.store.tables import BatchChunk, BatchEvent, BatchPrediction

CancelOutcome = Literal["cancelled", "cancelling", "already-finished"]
RECONCILER = "reconciler"
_LOST = {
    "code": "worker-lost-limit",
    "category": "internal",
    "detail": f"The batch lost its worker {MOST_LOSSES} times without getting on and is not tried again.",
    "remedy": "Look at the log of the worker: it may have run out of memory. Then submit the batch again.",
}
_QUEUE = Errands(BatchPrediction)
get, page, waiting = _QUEUE.get, _QUEUE.page, _QUEUE.waiting


@dataclass(frozen=True, slots=True)
class Texts:
    """Where the texts of a batch lie: JSON Lines with ``text``."""

    key: str
    sha256: str
    rows: int
    dataset_id: str | None = None


def submit(
    session: Session,
    batch_id: str,
    options: BatchOptions,
    version: tables.ModelVersion,
    texts: Texts,
    judging: Judging | None = None,
    actor: str = CLIENT,
) -> BatchPrediction:
    """Put a batch into the queue; it exists once the transaction commits. ``judging`` makes it an evaluation."""
    row = BatchPrediction(
        id=batch_id,
        status="queued",
        status_reason="Waiting for a worker.",
        request=options.model_dump(mode="json"),
        attempt=0,
        created_at=clock(session),
        model_name=version.model_name,
        version=version.version,
        dataset_id=texts.dataset_id,
        input_key=texts.key,
        input_sha256=texts.sha256,
        rows=texts.rows,
        rows_done=0,
        lost_count=0,
        columns=columns_of(version).model_dump(mode="json"),
        judging=None if judging is None else judging.model_dump(mode="json"),
    )
    session.add(row)
    session.flush()
    _tell_status(session, row, None, actor)
    return row


def judgings(
    session: Session, name: str, version: int, limit: int, cursor: str | None = None
) -> tuple[list[BatchPrediction], str | None]:
    """List the evaluations of a version, newest first, as ``page`` does."""
    table = BatchPrediction
    return _QUEUE.page(
        session, limit, cursor, table.model_name == name, table.version == version, table.judging.is_not(None)
    )


def new_batch_id() -> str:
    """Make the id of a batch, under which its texts are stored before its row."""
    return new_id("bat")


def columns_of(version: tables.ModelVersion) -> BatchColumns:
    """Read what a version's answers have off its manifest."""
    manifest = version.manifest
    return BatchColumns(
        labels=manifest["labels"],
        several=manifest.get("problem_type") == "multi_label",
        tasks=[task["name"] for task in manifest.get("tasks", [])[1:]],
    )


def claim_next(session: Session, *, owner: str, lease_seconds: float) -> ErrandClaim | None:
    """Take the oldest batch that waits, or that a silent worker has held for too long; None when there is none."""
    for row in _QUEUE.silent(session, given_up=True):
        _end(session, row, "failed", str(_LOST["detail"]), actor=RECONCILER, error=_LOST)
    for row in _QUEUE.silent(session, given_up=False):
        row.lost_count += 1
        _settle(session, row, "Its worker fell silent; it goes on behind the last whole chunk.", RECONCILER)
    row_taken = _QUEUE.take(session, owner=owner, lease_seconds=lease_seconds, reason="A worker classifies the texts.")
    if row_taken is None:
        return None
    _tell_status(session, row_taken, "queued", owner)
    return ErrandClaim(row_taken.id, row_taken.attempt)


def beat(session: Session, claim: ErrandClaim, *, lease_seconds: float) -> Beat:
    """Prolong the lease and hear whether a cancel was asked for."""
    row = _QUEUE.held(session, claim)
    if row is None:
        return Beat(held=False)
    _QUEUE.written(session, claim, {"lease_until": now_plus(lease_seconds)})
    return Beat(True, row.cancel_requested_at is not None)


def commit_chunk(session: Session, claim: ErrandClaim, chunk: BatchChunk, *, rows_per_second: float) -> bool:
    """Make a stored chunk count; False, and nothing written, when the claim has fallen."""
    row = _QUEUE.held(session, claim)
    if row is None:
        return False
    known = session.get(BatchChunk, (claim.id, chunk.number))
    if known is not None and known.artifact_key == chunk.artifact_key:
        return True  # the answer to the first try was lost
    session.add(chunk)
    row.rows_done += chunk.rows
    row.rows_per_second = rows_per_second
    row.lost_count = 0
    session.flush()
    left = row.rows - row.rows_done
    progress = {
        "rows_done": row.rows_done,
        "rows": row.rows,
        "rows_per_second": rows_per_second,
        "eta_seconds": left / rows_per_second if rows_per_second > 0 else None,
    }
    _tell(session, row, "chunk", progress)
    return True


def release(session: Session, claim: ErrandClaim, reason: str, *, lost: bool = False) -> bool:
    """Give the batch back to the queue, or end it where that was wished; False when the claim has fallen.

    ``lost`` says that the attempt broke: too often in a row fails the batch.
    """
    row = _QUEUE.held(session, claim)
    if row is None:
        return False
    row.lost_count += int(lost)
    if lost and row.lost_count >= MOST_LOSSES:
        _end(session, row, "failed", str(_LOST["detail"]), actor=str(row.lease_owner), error=_LOST)
    else:
        _settle(session, row, reason, str(row.lease_owner))
    return True


def fail(session: Session, claim: ErrandClaim, error: Mapping[str, Any]) -> bool:
    """End the batch as ``failed``; False when the claim has fallen."""
    row = _QUEUE.held(session, claim)
    if row is None:
        return False
    _end(session, row, "failed", str(error["detail"]), actor=str(row.lease_owner), error=error)
    return True


def succeed(session: Session, claim: ErrandClaim, judgement: Mapping[str, Any] | None = None) -> bool:
    """End the batch as ``succeeded``; False when the claim has fallen or rows are missing."""
    row = _QUEUE.held(session, claim)
    if row is None or row.rows_done != row.rows:
        return False
    row.judgement = None if judgement is None else dict(judgement)
    _end(session, row, "succeeded", f"All {row.rows} rows are classified.", actor=str(row.lease_owner))
    return True


def cancel(session: Session, batch_id: str, actor: str = CLIENT) -> CancelOutcome | None:
    """End a waiting batch at once, or ask the worker of a running one to stop; None when there is no such batch."""
    row = session.get(BatchPrediction, batch_id, with_for_update=True, populate_existing=True)
    if row is None:
        return None
    if row.status in BATCH_ENDED:
        return "cancelled" if row.status == "cancelled" else "already-finished"
    if row.status == "queued":
        _end(session, row, "cancelled", "The client cancelled the batch.", actor=actor)
        return "cancelled"
    if row.cancel_requested_at is None:
        row.cancel_requested_at = clock(session)
        row.status_reason = "The client asked to cancel; the worker is stopping."
        session.flush()
        _tell(session, row, "cancelling", {"actor": actor})
    return "cancelling"


def delete(session: Session, batch_id: str) -> bool:
    """Remove a batch that has ended; False when there is none that has."""
    row = session.get(BatchPrediction, batch_id, with_for_update=True, populate_existing=True)
    if row is None or row.status not in BATCH_ENDED:
        return False
    session.delete(row)
    return True


def chunks(session: Session, batch_id: str) -> list[BatchChunk]:
    """List the chunks that count, in their order."""
    query = select(BatchChunk).where(BatchChunk.batch_id == batch_id).order_by(BatchChunk.number)
    return list(session.scalars(query))


def events_after(session: Session, batch_id: str, seq: int, limit: int) -> list[BatchEvent]:
    """List at most ``limit`` events with a larger number than ``seq``, oldest first."""
    query = (
        select(BatchEvent)
        .where(BatchEvent.batch_id == batch_id, BatchEvent.seq > max(0, min(seq, MAX_SEQ)))
        .order_by(BatchEvent.seq)
        .limit(limit)
    )
    return list(session.scalars(query))


def _settle(session: Session, row: BatchPrediction, reason: str, actor: str) -> None:
    """End a locked batch's attempt without an outcome: the wish to cancel first, then the queue."""
    if row.cancel_requested_at is not None:
        _end(session, row, "cancelled", "The client cancelled the batch.", actor=actor)
    else:
        _write(session, row, queued(reason), actor)


def _end(
    session: Session,
    row: BatchPrediction,
    status: str,
    reason: str,
    *,
    actor: str,
    error: Mapping[str, Any] | None = None,
) -> None:
    _write(session, row, ended(status, reason) | ({} if error is None else {"error": dict(error)}), actor)


def _write(session: Session, row: BatchPrediction, values: Mapping[str, Any], actor: str) -> None:
    before = row.status
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    _tell_status(session, row, before, actor)


def _tell_status(session: Session, row: BatchPrediction, before: str | None, actor: str) -> None:
    _tell(session, row, "status", {"from": before, "to": row.status, "reason": row.status_reason, "actor": actor})


def _tell(session: Session, row: BatchPrediction, kind: str, data: Mapping[str, Any]) -> None:
    """Write an event of a locked row: the lock is what makes ``seq`` gapless."""
    last = session.scalar(select(func.max(BatchEvent.seq)).where(BatchEvent.batch_id == row.id)) or 0
    session.add(
        BatchEvent(batch_id=row.id, seq=last + 1, attempt=row.attempt, type=kind, at=clock(session), data=dict(data))
    )
    session.flush()
