"""Migrations: bring a database to the schema of this program, one process at a time, without touching its logging."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from app.errors import InternalError
from app.store.revision import SCRIPTS, engine_of, newest, reachable

ADVISORY_LOCK = 7_446_012_113
"""Any number that nothing else in the database locks."""


def upgrade(url: str) -> None:
    """Run every migration that the database has not seen; processes that start together wait for the first.

    Raises Unavailable ``database-unavailable``, InternalError ``database-newer`` when a newer program migrated it.
    """
    with _alone(url) as connection:
        config = _config(connection)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _newer() from error


def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to ``revision``; ``base`` empties the database."""
    with _alone(url) as connection:
        command.downgrade(_config(connection), revision)


def _config(connection: Connection | None) -> Config:
    newest()  # says so when there are no migrations
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


@contextmanager
def _alone(url: str) -> Iterator[Connection]:
    """Open a connection in a transaction, while no other process migrates the same database."""
    engine = engine_of(url)
    with reachable(), _file_lock(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
        yield connection


@contextmanager
def _file_lock(engine: Engine) -> Iterator[None]:
    """Keep other processes out of a SQLite file, longer than its own lock would wait."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database:
        yield
        return
    with Path(f"{database}.migrating").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _newer() -> InternalError:
    return InternalError(
        "The database was migrated by a newer version of this program.",
        "database-newer",
        "Run that version, or restore a backup made before.",
    )
