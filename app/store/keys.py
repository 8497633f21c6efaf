"""Named API keys: made, listed, revoked; who used one when, by the minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import bearer
from app.errors import Conflict
from app.ids import new_id
from app.schemas.keys import KeyRequest
from app.store import cursors
from app.store.engine import clock
from app.store.tables import ApiKey

USE_SECONDS = 60.0
"""How much later a use must be than the one that is written, to be written too."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What the guard must know of a key that is not revoked."""

    id: str
    name: str
    prefix: str
    sha256: str
    scopes: Sequence[str]
    expires_at: datetime | None


def insert(session: Session, request: KeyRequest, key: str, created_by: str) -> ApiKey:
    """Add a key of which the hash is kept; raises Conflict ``key-name-taken``."""
    at = clock(session)
    days = request.expires_in_days
    row = ApiKey(
        id=new_id("key"),
        name=request.name,
        prefix=bearer.beginning(key),
        sha256=bearer.digest(key),
        scopes=list(request.scopes),
        created_at=at,
        created_by=created_by,
        expires_at=None if days is None else at + timedelta(days=days),
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a key of the name {request.name} already.",
            code="key-name-taken",
            remedy="Choose another name. If the answer that had the key was lost: revoke that key and make it anew.",
        ) from error
    return row


def get(session: Session, key_id: str) -> ApiKey | None:
    """Find a key."""
    return session.get(ApiKey, key_id)


def page(
    session: Session, limit: int, cursor: str | None = None, *, with_revoked: bool = False
) -> tuple[list[ApiKey], str | None]:
    """List keys, newest first, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
    query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
    if not with_revoked:
        query = query.where(ApiKey.revoked_at.is_(None))
    if cursor is not None:
        query = query.where(cursors.older(ApiKey.created_at, ApiKey.id, cursor))
    rows = list(session.scalars(query.limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id)


def known(session: Session) -> list[KnownKey]:
    """Give all keys that are not revoked, as the guard wants them."""
    columns = (ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.sha256, ApiKey.scopes, ApiKey.expires_at)
    rows = session.execute(select(*columns).where(ApiKey.revoked_at.is_(None)))
    return [KnownKey(*row) for row in rows]


def unrevoked(session: Session) -> list[ApiKey]:
    """Give the rows of all keys that are not revoked, locked: of two who revoke at once, one waits for the other."""
    query = select(ApiKey).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.id)
    return list(session.scalars(query.with_for_update()))


def is_lasting_admin(row: ApiKey) -> bool:
    """Say whether a key may make and revoke keys for ever."""
    return row.revoked_at is None and row.expires_at is None and "admin" in row.scopes


def revoke(session: Session, row: ApiKey) -> None:
    """Take a key back; a second time changes nothing."""
    if row.revoked_at is None:
        row.revoked_at = clock(session)
        session.flush()


def note_uses(session: Session, uses: Mapping[str, datetime]) -> None:
    """Write when keys were used last; several processes may say so, and the latest counts."""
    for key_id, at in sorted(uses.items()):
        known_since = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < at - timedelta(seconds=USE_SECONDS))
        session.execute(update(ApiKey).where(ApiKey.id == key_id, known_since).values(last_used_at=at))
