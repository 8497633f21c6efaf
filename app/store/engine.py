"""The database: one engine, short transactions, its own clock; nowhere else does the code ask which database it is."""

import json
import math
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import Pool, QueuePool
from sqlalchemy.sql import SQLColumnExpression
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from app.errors import StorageFull, Unavailable
from app.store.faults import RolledBack, problem_of
from app.store.tables import UtcDateTime

T = TypeVar("T")

TRIES = 5
BUSY_SECONDS = 10.0
POOL_SIZES = {"pool_size": 10, "max_overflow": 30, "pool_timeout": 10.0}

# A statement that waits longer is better answered with 503 than left hanging; nothing here runs for seconds.
POSTGRES_OPTIONS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "synchronous_commit": "on",  # 202 is a promise: it is made after the commit reached the disk
    "timezone": "UTC",
}
# Without these, a connection whose other end has vanished without a word is waited on for a quarter of an hour.
POSTGRES_LINK = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds that what was sent may stay unacknowledged
    "keepalives_idle": 5,  # seconds of silence, after which the other end is asked whether it is there
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# SQLite before 3.51.3 can corrupt a WAL database when several connections write and checkpoint
# (https://sqlite.org/wal.html#walresetbug); the rollback journal does not have this fault.
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)


class Database:
    """One engine per process, and the transactions on it; safe to share between threads, not across a fork."""

    def __init__(self, url: str) -> None:
        self.url = driver_url(url)
        self.engine = make_engine(self.url)
        self._reader = self.engine.execution_options(read_only=True, postgresql_readonly=True)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Session]:
        """Open a session that commits at the end of the block and rolls back on any error.

        Rows read or written in the block stay readable after it. Raises Unavailable ``database-unavailable`` when the
        database is away, busy or too slow, StorageFull ``storage-full``, Unprocessable ``invalid-text`` for
        characters that the database cannot keep, InternalError ``database-refused`` for what else it objects to.
        """
        committing = False
        try:
            with Session(self._reader if read_only else self.engine, expire_on_commit=False) as session:
                yield session
                committing = True
                session.commit()
        except (SQLAlchemyError, UnicodeEncodeError) as error:
            problem = problem_of(error, committing=committing)
            if problem is None:
                raise
            raise problem from error if isinstance(problem, (Unavailable, StorageFull)) else None

    def run(self, work: Callable[[Session], T]) -> T:
        """Do ``work`` in a transaction, again when the database undid it (deadlock, lost connection before commit)."""
        for tried in range(1, TRIES + 1):
            try:
                with self.transaction() as session:
                    return work(session)
            except RolledBack:
                if tried == TRIES:
                    raise
                time.sleep(random.uniform(0.5, 1.5) * 0.02 * 2**tried)  # noqa: S311 - spreads load, guards nothing
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def driver_url(url: str) -> URL:
    """Name the driver that the project ships: psycopg 3 for Postgres, the standard library's for SQLite."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def make_engine(url: URL, pool: type[Pool] = QueuePool) -> Engine:
    """Make an engine with the pragmas, timeouts and transaction modes that the store relies on."""
    how: dict[str, Any] = {
        "poolclass": pool,
        "json_serializer": to_json,
        "hide_parameters": True,  # errors end up in logs, and parameters hold what clients sent
    }
    if pool is QueuePool:
        how |= POOL_SIZES
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, how)
    link = {name: value for name, value in POSTGRES_LINK.items() if name not in url.query}
    arguments = link | {"options": _postgres_options(url)}
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, **how)


def _postgres_options(url: URL) -> str:
    ours = " ".join(f"-c {name}={value}" for name, value in POSTGRES_OPTIONS.items())
    theirs = url.query.get("options", "")
    return f"{ours} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()


def _sqlite_engine(url: URL, how: dict[str, Any]) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **how)
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _tune_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is sent by _begin_sqlite, never by the driver's guess
    connection.execute(f"PRAGMA journal_mode={'WAL' if WAL_IS_SAFE else 'TRUNCATE'}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that upgrades later is refused without any waiting."""
    read_only = bool(connection.get_execution_options().get("read_only"))
    info = connection.connection.info
    if info.get("read_only", False) is not read_only:
        connection.exec_driver_sql(f"PRAGMA query_only={int(read_only)}")
        info["read_only"] = read_only
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def to_json(value: Any) -> str:
    """Write JSON that both databases take: NaN and the infinities, which JSON does not know, become null."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def upsert(session: Session, table: type[DeclarativeBase]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that can say what happens ON CONFLICT, in the session's dialect."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


class _Clock(FunctionElement[datetime]):
    """The database's wall clock, moved by some seconds."""

    type = UtcDateTime()
    inherit_cache = True


def now() -> _Clock:
    """Read the clock of the database: the only one that leases are compared with."""
    return _Clock(literal(0.0))


def now_plus(seconds: float) -> _Clock:
    """Give the database's time in ``seconds`` from now; negative is the past."""
    return _Clock(literal(float(seconds)))


def clock(session: Session) -> datetime:
    """Ask the database for its time, to write the same instant into several columns."""
    return session.execute(select(now())).scalar_one()


@compiles(_Clock, "postgresql")
def _clock_postgresql(element: _Clock, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


@compiles(_Clock, "sqlite")
def _clock_sqlite(element: _Clock, compiler: SQLCompiler, **kw: Any) -> str:
    # The text that SQLAlchemy stores: microseconds, of which SQLite knows three digits. Text order is time order.
    moved = f"printf('%+.3f seconds', {compiler.process(element.clauses, **kw)})"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {moved})"


class _HasPair(FunctionElement[bool]):
    """Whether a JSON object of strings holds a pair."""

    type = Boolean()
    inherit_cache = True


def has_pair(column: SQLColumnExpression[Any], key: str, value: str) -> ColumnElement[bool]:
    """Ask whether the JSON object in ``column`` maps ``key`` to the string ``value``, whatever characters they hold."""
    return _HasPair(column, literal(key), literal(value))


@compiles(_HasPair, "postgresql")
def _has_pair_postgresql(element: _HasPair, compiler: SQLCompiler, **kw: Any) -> str:
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} ->> {key} = {value})"


@compiles(_HasPair, "sqlite")
def _has_pair_sqlite(element: _HasPair, compiler: SQLCompiler, **kw: Any) -> str:
    # A JSON path cannot quote every key, hence no json_extract.
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) p WHERE p.key = {key} AND p.value = {value})"  # noqa: S608 - bound
