"""Imports: fetches of datasets, taken by one worker at a time; a lost one is begun again, but not for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.ids import new_id
from app.schemas.sources import ImportRequest
from app.store import datasets, tables
from app.store.engine import clock
from app.store.errands import MOST_LOSSES, Beat, ErrandClaim, Errands, ended, queued
from app.store.tables import Import

_LOST = {
    "code": "worker-lost-limit",
    "category": "internal",
    "detail": f"The import lost its worker {MOST_LOSSES} times and is not tried again.",
    "remedy": "Look at the log of the worker; a part of the dataset (files_per_split) needs less memory and disk.",
}
_QUEUE = Errands(Import)
get, page, waiting = _QUEUE.get, _QUEUE.page, _QUEUE.waiting


@dataclass(frozen=True, slots=True)
class ImportClaim(ErrandClaim):
    """One attempt at one import; every later write takes it."""

    request: ImportRequest


def submit(session: Session, request: ImportRequest) -> Import:
    """Put an import into the queue; it exists once the transaction commits."""
    row = Import(
        id=new_id("imp"),
        status="queued",
        status_reason="Waiting for a worker.",
        request=request.model_dump(mode="json", by_alias=True),
        attempt=0,
        lost_count=0,
        created_at=clock(session),
    )
    session.add(row)
    session.flush()
    return row


def claim_next(session: Session, *, owner: str, lease_seconds: float) -> ImportClaim | None:
    """Take the oldest import that waits, or that a silent worker has held for too long; None when there is none."""
    for row in _QUEUE.silent(session, given_up=True):
        lost = ended("failed", str(_LOST["detail"])) | {"error": _LOST}
        session.execute(update(Import).where(Import.id == row.id).values(**lost))
    for row in _QUEUE.silent(session, given_up=False):
        again = queued("Its worker fell silent.") | {"lost_count": Import.lost_count + 1}
        session.execute(update(Import).where(Import.id == row.id).values(**again))
    taken = _QUEUE.take(session, owner=owner, lease_seconds=lease_seconds, reason="A worker fetches the dataset.")
    return None if taken is None else ImportClaim(taken.id, taken.attempt, ImportRequest.model_validate(taken.request))


def beat(session: Session, claim: ErrandClaim, *, lease_seconds: float) -> Beat:
    """Prolong the lease."""
    return Beat(_QUEUE.renew(session, claim, lease_seconds=lease_seconds))


def stored(session: Session, claim: ErrandClaim, dataset_id: str) -> bool:
    """Say whether the import has ended with this dataset."""
    row = _QUEUE.get(session, claim.id)
    return row is not None and row.status == "succeeded" and row.dataset_id == dataset_id


def tell(session: Session, claim: ErrandClaim, reason: str) -> bool:
    """Say in one sentence what is happening; False when the claim has fallen."""
    return _QUEUE.written(session, claim, {"status_reason": reason})


def release(session: Session, claim: ImportClaim, reason: str) -> bool:
    """Give the import back to the queue; False when the claim has fallen."""
    return _QUEUE.written(session, claim, queued(reason))


def fail(session: Session, claim: ImportClaim, error: Mapping[str, Any]) -> bool:
    """End the import as ``failed``; False when the claim has fallen."""
    return _QUEUE.written(session, claim, ended("failed", str(error["detail"])) | {"error": dict(error)})


def succeed(session: Session, claim: ImportClaim, dataset: tables.Dataset) -> bool:
    """Store the dataset and end the import as ``succeeded``; False, and nothing stored, when the claim has fallen."""
    if _QUEUE.held(session, claim) is None:
        return stored(session, claim, dataset.id)  # the answer to the first try may have been lost
    datasets.insert(session, dataset)
    ending = ended("succeeded", f"Stored as dataset {dataset.id}.") | {"dataset_id": dataset.id}
    return _QUEUE.written(session, claim, ending)
