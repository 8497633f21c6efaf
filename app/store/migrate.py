"""Migrations: bring a database to the schema of this program, one process at a time, without touching its logging."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app.errors import InternalError
from app.store.engine import driver_url, make_engine, problem_of

SCRIPTS = Path(__file__).parents[2] / "migrations"
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


def is_current(url: str) -> bool:
    """Say whether the database has exactly the schema of this program."""
    engine = _engine(url)
    with _reachable(), engine.connect() as connection:
        seen = MigrationContext.configure(connection).get_current_heads()
    return set(seen) == set(_scripts().get_heads())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    if not SCRIPTS.is_dir():
        raise InternalError(
            f"The migrations are missing: there is no folder {SCRIPTS}.",
            "migrations-missing",
            "Run from a checkout, installed with pip install -e.",
        )
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _engine(url: str) -> Engine:
    return make_engine(driver_url(url), pool=NullPool)


@contextmanager
def _alone(url: str) -> Iterator[Connection]:
    """Open a connection in a transaction, while no other process migrates the same database."""
    engine = _engine(url)
    with _reachable(), _file_lock(engine), engine.begin() as connection:
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


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        problem = problem_of(error)
        if problem is None:
            raise
        raise problem from error


def _newer() -> InternalError:
    return InternalError(
        "The database was migrated by a newer version of this program.",
        "database-newer",
        "Run that version, or restore a backup made before.",
    )
