"""Idempotency keys: the answer once given is given again, and two equal requests at once become one."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.store.engine import clock, now_plus, upsert
from app.store.tables import IdempotencyKey


def find(session: Session, key: str, operation: str) -> IdempotencyKey | None:
    """Find the answer once given to this key for this operation (method and path)."""
    return session.get(IdempotencyKey, (key, operation))


def save(
    session: Session,
    key: str,
    operation: str,
    *,
    body_sha256: str,
    status_code: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> None:
    """Keep an answer, in the transaction of the work it answers.

    Raises Conflict ``idempotency-key-taken`` when an equal request was faster: roll back, then ``find`` its answer.
    """
    row = {
        "key": key,
        "operation": operation,
        "body_sha256": body_sha256,
        "status_code": status_code,
        "headers": dict(headers),
        "body": dict(body),
        "created_at": clock(session),
    }
    insert = upsert(session, IdempotencyKey).values(row).on_conflict_do_nothing(index_elements=["key", "operation"])
    if session.scalar(insert.returning(IdempotencyKey.key)) is None:
        raise Conflict(
            "Another request with this Idempotency-Key was faster.", "idempotency-key-taken", "Send the request again."
        )


def purge(session: Session, older_than_seconds: float) -> int:
    """Forget the answers older than this, and say how many."""
    old = delete(IdempotencyKey).where(IdempotencyKey.created_at < now_plus(-older_than_seconds))
    return len(session.scalars(old.returning(IdempotencyKey.key)).all())
