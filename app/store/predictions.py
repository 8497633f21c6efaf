"""Answers that were logged, and what was said of them afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.errors import Unprocessable
from app.store import cursors
from app.store.engine import clock, now, upsert
from app.store.tables import LoggedPrediction

PURGED_AT_ONCE = 5000


def insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep answers; one that is there already stays as it is."""
    statement = upsert(session, LoggedPrediction).on_conflict_do_nothing(index_elements=["id"])
    session.execute(statement, list(rows))


def get(session: Session, prediction_id: str, *, for_update: bool = False) -> LoggedPrediction | None:
    """Find an answer."""
    return session.get(LoggedPrediction, prediction_id, with_for_update=for_update or None)


def judge(session: Session, row: LoggedPrediction, truth: Sequence[str], *, right: bool) -> bool:
    """Say what the right answer was; False when that was said before. Another word replaces the one before."""
    if row.truth == list(truth):
        return False
    row.truth, row.right, row.feedback_at = list(truth), right, clock(session)
    session.flush()
    return True


def page(
    session: Session, name: str, *, version: int | None, judged: bool | None, limit: int, cursor: str | None
) -> tuple[list[LoggedPrediction], str | None]:
    """List answers of a model, newest first, and the cursor of the next page; raises ``invalid-cursor``."""
    query = select(LoggedPrediction).where(LoggedPrediction.model_name == name)
    if version is not None:
        query = query.where(LoggedPrediction.version == version)
    if judged is not None:
        query = query.where(LoggedPrediction.truth.is_not(None) if judged else LoggedPrediction.truth.is_(None))
    if cursor is not None:
        query = query.where(LoggedPrediction.id < _place(cursor))
    rows = list(session.scalars(query.order_by(LoggedPrediction.id.desc()).limit(limit + 1)))
    return (rows, None) if len(rows) <= limit else (rows[:limit], cursors.encode(rows[limit - 1].id))


def _place(cursor: str) -> str:
    place = cursors.decode_name(cursor)
    if not place.startswith("pred_"):
        raise Unprocessable(
            "The cursor is not one that this list gave out.",
            "invalid-cursor",
            "Use next_cursor of the page before as it is, or leave cursor out to begin at the start.",
        )
    return place


def purge(session: Session) -> int:
    """Forget answers whose time is over, some thousand at once, and say how many."""
    over = select(LoggedPrediction.id).where(LoggedPrediction.expires_at <= now()).limit(PURGED_AT_ONCE)
    ids = list(session.scalars(over))
    if ids:
        session.execute(delete(LoggedPrediction).where(LoggedPrediction.id.in_(ids)))
    return len(ids)


def forget(session: Session, name: str, version: int) -> None:
    """Forget the answers of a version."""
    session.execute(
        delete(LoggedPrediction).where(LoggedPrediction.model_name == name, LoggedPrediction.version == version)
    )
