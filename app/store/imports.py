"""Imports: fetches of datasets, taken by one worker at a time; a lost one is begun again, but not for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.ids import new_id
from app.schemas.sources import ImportRequest
from app.store import cursors, datasets, tables
from app.store.engine import clock, now, now_plus
from app.store.tables import Import

MOST_ATTEMPTS = 3
_LOST = {
    "code": "worker-lost-limit",
    "category": "internal",
    "detail": f"The import lost its worker {MOST_ATTEMPTS} times and is not tried again.",
    "remedy": "Look at the log of the worker; a part of the dataset (files_per_split) needs less memory and disk.",
}


@dataclass(frozen=True, slots=True)
class ImportClaim:
    """One attempt at one import; every later write takes it."""

    import_id: str
    attempt: int
    request: ImportRequest


def submit(session: Session, request: ImportRequest) -> Import:
    """Put an import into the queue; it exists once the transaction commits."""
    row = Import(
        id=new_id("imp"),
        status="queued",
        status_reason="Waiting for a worker.",
        request=request.model_dump(mode="json", by_alias=True),
        attempt=0,
        created_at=clock(session),
    )
    session.add(row)
    session.flush()
    return row


def get(session: Session, import_id: str) -> Import | None:
    """Find an import."""
    return session.get(Import, import_id)


def page(session: Session, limit: int, cursor: str | None = None) -> tuple[list[Import], str | None]:
    """List imports, newest first, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
    query = select(Import).order_by(Import.created_at.desc(), Import.id.desc())
    if cursor is not None:
        query = query.where(cursors.older(Import.created_at, Import.id, cursor))
    rows = list(session.scalars(query.limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id)


def waiting(session: Session) -> int:
    """Count the imports that have not ended."""
    query = select(func.count()).where(Import.status.in_(("queued", "running")))
    return session.execute(query).scalar_one()


def claim_next(session: Session, *, owner: str, lease_seconds: float) -> ImportClaim | None:
    """Take the oldest import that waits, or that a silent worker has held for too long; None when there is none."""
    _give_up(session)
    free = or_(Import.status == "queued", (Import.status == "running") & (Import.lease_until < now()))
    line = select(Import.id).where(free).order_by(Import.created_at, Import.id).limit(1)
    taken = (
        update(Import)
        .where(Import.id == line.with_for_update(skip_locked=True).scalar_subquery(), free)
        .values(
            status="running",
            status_reason="A worker fetches the dataset.",
            attempt=Import.attempt + 1,
            lease_owner=owner,
            lease_until=now_plus(lease_seconds),
            started_at=func.coalesce(Import.started_at, now()),
        )
        .returning(Import.id, Import.attempt, Import.request)
    )
    row = session.execute(taken, execution_options={"synchronize_session": False}).one_or_none()
    return None if row is None else ImportClaim(row.id, row.attempt, ImportRequest.model_validate(row.request))


def _give_up(session: Session) -> None:
    """Fail the imports that have killed their workers often enough."""
    silent = (Import.status == "running", Import.lease_until < now(), Import.attempt >= MOST_ATTEMPTS)
    ended = update(Import).where(*silent).values(**_ending("failed", str(_LOST["detail"])), error=_LOST)
    session.execute(ended, execution_options={"synchronize_session": False})


def renew(session: Session, claim: ImportClaim, *, lease_seconds: float) -> bool:
    """Prolong the lease; False when the claim has fallen."""
    return _written(session, claim, {"lease_until": now_plus(lease_seconds)})


def release(session: Session, claim: ImportClaim, reason: str) -> bool:
    """Give the import back to the queue; False when the claim has fallen."""
    values = {"status": "queued", "lease_owner": None, "lease_until": None}
    return _written(session, claim, values | {"status_reason": reason})


def fail(session: Session, claim: ImportClaim, error: Mapping[str, Any]) -> bool:
    """End the import as ``failed``; False when the claim has fallen."""
    return _written(session, claim, _ending("failed", str(error["detail"])) | {"error": dict(error)})


def succeed(session: Session, claim: ImportClaim, dataset: tables.Dataset) -> bool:
    """Store the dataset and end the import as ``succeeded``; False, and nothing stored, when the claim has fallen."""
    if not _written(session, claim, {"lease_owner": Import.lease_owner}):  # locks the row
        return False
    datasets.insert(session, dataset)
    ending = _ending("succeeded", f"Stored as dataset {dataset.id}.") | {"dataset_id": dataset.id}
    return _written(session, claim, ending)


def _ending(status: str, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "status_reason": reason,
        "lease_owner": None,
        "lease_until": None,
        "finished_at": now(),
    }


def _written(session: Session, claim: ImportClaim, values: Mapping[str, Any]) -> bool:
    guarded = (Import.id == claim.import_id, Import.attempt == claim.attempt, Import.status == "running")
    statement = update(Import).where(*guarded).values(**values).returning(Import.id)
    return session.execute(statement, execution_options={"synchronize_session": False}).one_or_none() is not None
