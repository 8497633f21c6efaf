"""Keyset cursors: opaque marks of the last row of a page, so that a list stays right while rows are added."""

import base64
import binascii
import json
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import Unprocessable


def encode(*key: datetime | str) -> str:
    """Pack the sort key of a page's last row."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_newest_first(cursor: str) -> tuple[datetime, str]:
    """Unpack ``(created_at, id)``; raises Unprocessable ``invalid-cursor``."""
    moment, row_id = _parts(cursor, 2)
    try:
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise _invalid()
        return created_at.astimezone(UTC), row_id
    except (ValueError, OverflowError) as error:  # the year 1 of some zones is before the year 1 of UTC
        raise _invalid() from error


def decode_name(cursor: str) -> str:
    """Unpack a single name; raises Unprocessable ``invalid-cursor``."""
    (name,) = _parts(cursor, 1)
    return name


def older(
    created_at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[str], cursor: str
) -> ColumnElement[bool]:
    """Give the condition for rows that come after the cursor when the newest come first."""
    return tuple_(created_at, row_id) < tuple_(*decode_newest_first(cursor))


def _parts(cursor: str, count: int) -> list[str]:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(packed)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _invalid() from error
    if not isinstance(parts, list) or len(parts) != count or not all(isinstance(part, str) for part in parts):
        raise _invalid()
    return parts


def _invalid() -> Unprocessable:
    return Unprocessable(
        "The cursor is not one that this list gave out.",
        "invalid-cursor",
        "Use next_cursor of the page before as it is, or leave cursor out to begin at the start.",
    )
