"""Errands: what a worker does beside its jobs, one table a kind, all taken, held and given back alike.

As a job's, an errand's attempt number is the fencing token: a worker that lost its lease meets no row any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from app.store import cursors
from app.store.engine import now, now_plus
from app.store.tables.errands import Errand

MOST_LOSSES = 3
RowT = TypeVar("RowT", bound=Errand)
_PLAINLY = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class ErrandClaim:
    """One attempt at one errand; every later write takes it."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What the database answered to a renewal."""

    held: bool
    cancel_requested: bool = False


class Errands(Generic[RowT]):
    """The queue of one kind of errand."""

    def __init__(self, table: type[RowT]) -> None:
        self._table = table

    def get(self, session: Session, errand_id: str) -> RowT | None:
        """Find an errand."""
        return session.get(self._table, errand_id)

    def page(
        self, session: Session, limit: int, cursor: str | None = None, *wanted: ColumnElement[bool]
    ) -> tuple[list[RowT], str | None]:
        """List errands, newest first, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
        table = self._table
        query = select(table).where(*wanted).order_by(table.created_at.desc(), table.id.desc())
        if cursor is not None:
            query = query.where(cursors.older(table.created_at, table.id, cursor))
        rows = list(session.scalars(query.limit(limit + 1)))
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id)

    def waiting(self, session: Session) -> int:
        """Count the errands that have not ended."""
        query = select(func.count()).where(self._table.status.in_(("queued", "running")))
        return session.execute(query).scalar_one()

    def silent(self, session: Session, *, given_up: bool) -> list[RowT]:
        """Lock and give those that a silent worker has held for too long: the ones to give up, or all others."""
        table = self._table
        enough = table.lost_count + 1 >= MOST_LOSSES
        query = select(table).where(table.status == "running", table.lease_until < now())
        query = query.where(enough if given_up else ~enough).with_for_update(skip_locked=True)
        return list(session.scalars(query.execution_options(populate_existing=True)))

    def take(self, session: Session, *, owner: str, lease_seconds: float, reason: str) -> RowT | None:
        """Take the oldest that waits, or that a silent worker has held for too long; None when there is none."""
        table = self._table
        free = or_(table.status == "queued", (table.status == "running") & (table.lease_until < now()))
        line = select(table.id).where(free).order_by(table.created_at, table.id).limit(1)
        taken = (
            update(table)
            .where(table.id == line.with_for_update(skip_locked=True).scalar_subquery(), free)
            .values(
                status="running",
                status_reason=reason,
                attempt=table.attempt + 1,
                lease_owner=owner,
                lease_until=now_plus(lease_seconds),
                started_at=func.coalesce(table.started_at, now()),
            )
            .returning(table.id, table.attempt)
        )
        row = session.execute(taken, execution_options=_PLAINLY).one_or_none()
        return None if row is None else self.held(session, ErrandClaim(row.id, row.attempt))

    def held(self, session: Session, claim: ErrandClaim) -> RowT | None:
        """Lock and read the errand if the claim still stands; None means that nothing may be written any more."""
        query = select(self._table).where(*self._guard(claim)).with_for_update()
        return session.scalars(query.execution_options(populate_existing=True)).one_or_none()

    def renew(self, session: Session, claim: ErrandClaim, *, lease_seconds: float) -> bool:
        """Prolong the lease; False when the claim has fallen."""
        return self.written(session, claim, {"lease_until": now_plus(lease_seconds)})

    def written(self, session: Session, claim: ErrandClaim, values: Mapping[str, Any]) -> bool:
        """Write into the errand if the claim still stands; False when it has fallen."""
        statement = update(self._table).where(*self._guard(claim)).values(**values).returning(self._table.id)
        return session.execute(statement, execution_options=_PLAINLY).one_or_none() is not None

    def _guard(self, claim: ErrandClaim) -> tuple[ColumnElement[bool], ...]:
        table = self._table
        return table.id == claim.id, table.attempt == claim.attempt, table.status == "running"


def queued(reason: str) -> dict[str, Any]:
    """Give the values of an errand that waits again."""
    return {"status": "queued", "status_reason": reason, "lease_owner": None, "lease_until": None}


def ended(status: str, reason: str) -> dict[str, Any]:
    """Give the values of an errand that has ended."""
    return {
        "status": status,
        "status_reason": reason,
        "lease_owner": None,
        "lease_until": None,
        "finished_at": now(),
    }
