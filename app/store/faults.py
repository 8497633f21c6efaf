"""What a database error means to a person: each driver's codes, told apart once."""

import re
import sqlite3

from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import AppError, InternalError, StorageFull, Unavailable, Unprocessable
from app.logging import get_logger

log = get_logger(__name__)


class RolledBack(Unavailable):
    """The database undid the transaction for sure: doing it again is right."""


def problem_of(error: Exception, *, committing: bool = False) -> AppError | None:
    """Say what a database error means to a person, or None when it is a fault of this program."""
    if isinstance(error, UnicodeEncodeError):
        return _invalid_text()
    if isinstance(error, PoolTimeout):
        return _unavailable("Too many requests wait for the database.")
    if not isinstance(error, DBAPIError):
        return None
    code = _error_code(error)
    if code in {"53100", sqlite3.SQLITE_FULL}:
        return StorageFull("The disk of the database is full.", "storage-full", "Free space on it, then try again.")
    if code in {"22021", "22P05"} or (code is None and isinstance(error, DataError)):
        return _invalid_text()
    if code in {"40001", "40P01"}:
        return _unavailable("The database undid the transaction for another one.", RolledBack)
    if error.connection_invalidated or code in _LOST:
        # Whether a commit whose answer was lost took effect is unknown: only the caller can find out.
        return _unavailable("The database is away.", Unavailable if committing else RolledBack)
    if code in _BUSY:
        return _unavailable("The database is too busy, or cannot be written.")
    if code in _DAMAGED:
        return InternalError(
            "The database is damaged.",
            "database-damaged",
            "Stop the service and restore the database from a backup.",
        )
    if code in _WITHOUT_SCHEMA or (code == sqlite3.SQLITE_ERROR and _MISSING.match(str(error.orig))):
        return Unavailable(
            "The database does not have the tables of this version of the program.",
            "database-not-migrated",
            "Run python -m app migrate with the same settings, then try again.",
        )
    return _refused(error)


_LOST = {None, "57P01", "57P02", "57P03", "53300"} | {f"08{rest}" for rest in ("000", "001", "003", "004", "006")}
_BUSY = {
    "55P03",  # lock_timeout
    "57014",  # statement_timeout
    "25P03",  # idle_in_transaction_session_timeout
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}

_DAMAGED = {"XX001", "XX002", sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WITHOUT_SCHEMA = {"42P01", "42703"}  # no such table, no such column
_MISSING = re.compile(r"no such (table|column)|table \S+ has no column")


def _error_code(error: DBAPIError) -> str | int | None:
    """Give the SQLSTATE of Postgres (None: it never answered) or the primary result code of SQLite."""
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        extended: int = getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return extended & 0xFF
    state: str | None = getattr(origin, "sqlstate", "unknown")
    return state


def _unavailable(detail: str, kind: type[Unavailable] = Unavailable) -> Unavailable:
    return kind(detail, "database-unavailable", "Try again in a moment.", headers={"Retry-After": "1"})


def _invalid_text() -> Unprocessable:
    return Unprocessable(
        "A text holds a character that cannot be stored, such as U+0000 or half of a surrogate pair.",
        "invalid-text",
        "Remove it.",
    )


def _refused(error: DBAPIError) -> InternalError:
    """Log what a developer needs, and leave out the server's DETAIL: it quotes the row, and that is client data."""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    rule = f" ({constraint})" if constraint else ""
    statement = " ".join((error.statement or "").split())[:120]
    log.error("The database refused a statement", error=f"{type(error.orig).__name__}{rule}", statement=statement)
    return InternalError(
        "The database refused what this program asked of it.",
        "database-refused",
        "Look into the log of the service for what it was, and report it.",
    )
