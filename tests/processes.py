"""Waiting for what other processes do, and whether they live or hold a lock."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.engine import make_url


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends between opening and reading
        return False
    return state not in "ZX"


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def can_write(database_url: str) -> bool:
    """Say whether nobody holds the lock of SQLite, which is one for all; of other databases it is always so."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return True
    connection = sqlite3.connect(url.database, timeout=0.5, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
