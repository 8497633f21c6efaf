"""Transactions, the database's clock, and what its errors become."""

import math
import os
import socket
import sqlite3
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, literal, select, text
from sqlalchemy.orm import Session

from app.errors import InternalError, StorageFull, Unavailable, Unprocessable
from app.store import engine, workers
from app.store.engine import Database, clock, has_pair, now, now_plus, to_json
from app.store.tables import Job, Worker


def seen(session: Session, worker_id: str = "wrk_1", **changes: Any) -> None:
    facts = {"hostname": "h", "pid": 1, "device": None, "slots": 1, "queues": ["default"]} | changes
    workers.seen(session, id=worker_id, **facts)


def count(database: Database) -> int:
    with database.transaction(read_only=True) as session:
        return session.scalar(select(func.count()).select_from(Worker)) or 0


def test_commits_at_the_end_and_rolls_back_on_any_error(database: Database) -> None:
    with database.transaction() as session:
        seen(session)
    with pytest.raises(KeyError), database.transaction() as session:
        seen(session, "wrk_2")
        raise KeyError
    assert count(database) == 1


def test_rows_stay_readable_after_the_transaction(database: Database) -> None:
    with database.transaction() as session:
        seen(session)
        (worker,) = workers.alive(session, 60)
    assert (worker.hostname, worker.queues) == ("h", ["default"])


def test_a_read_only_transaction_cannot_write(database: Database) -> None:
    with pytest.raises((Unavailable, InternalError)), database.transaction(read_only=True) as session:
        seen(session)
    with database.transaction() as session:  # and the same connection can, the next time
        seen(session)
    assert count(database) == 1


def test_a_broken_rule_is_an_internal_error_and_the_log_knows_the_statement(
    database: Database, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InternalError) as caught, database.transaction() as session:
        seen(session, hostname=None, queues=["a secret"])
    assert caught.value.code == "database-refused" and "INSERT" not in caught.value.detail
    logged = "".join(capsys.readouterr()) + caplog.text  # where it goes depends on who configured logging before
    assert "INSERT INTO workers" in logged
    assert "secret" not in "".join(traceback.format_exception(caught.value)) + logged


def test_a_database_without_the_tables_says_to_migrate(database: Database) -> None:
    for query in ("SELECT * FROM job_eventz", "SELECT devize FROM workers"):
        with pytest.raises(Unavailable) as caught, database.transaction(read_only=True) as session:
            session.execute(text(query))
        assert caught.value.code == "database-not-migrated"
        assert "app migrate" in str(caught.value.remedy)


def test_a_damaged_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "tunesmith.db").write_bytes(b"no database" * 1000)
    damaged = Database(f"sqlite:///{tmp_path / 'tunesmith.db'}")
    with pytest.raises(InternalError) as caught, damaged.transaction(read_only=True) as session:
        session.execute(text("SELECT 1"))
    assert caught.value.code == "database-damaged"
    assert "backup" in str(caught.value.remedy)


def test_clock_runs_in_utc_and_can_be_moved(database: Database) -> None:
    with database.transaction() as session:
        read = clock(session)
        earlier, later = session.execute(select(now_plus(-90.5), now_plus(3600))).one()
        assert session.scalar(select(now_plus(-0.5) < now()))
        assert session.scalar(select(now_plus(0.5) > now()))
        # A bound time and the database's own compare as times, not as differently written texts.
        assert session.scalar(select(literal(read - timedelta(seconds=1), Worker.started_at.type) < now()))
        assert session.scalar(select(literal(read + timedelta(minutes=1), Worker.started_at.type) > now()))
    assert abs(read - datetime.now(UTC)) < timedelta(seconds=5)
    assert timedelta(seconds=89) < read - earlier < timedelta(seconds=91)
    assert timedelta(seconds=3599) < later - read < timedelta(seconds=3601)


def test_json_without_numbers_that_json_does_not_know(database: Database) -> None:
    with database.transaction() as session:
        seen(session, queues=[math.nan, {"deep": (math.inf, 1.5)}])
    with database.transaction() as session:
        (worker,) = workers.alive(session, 60)
    assert worker.queues == [None, {"deep": [None, 1.5]}]


def test_to_json_keeps_text_as_it_is() -> None:
    assert to_json({"é": "日本"}) == '{"é": "日本"}'


@pytest.mark.parametrize("key", ["plain", 'qu"ote', "dot.ted", "$[0]", "back\\slash", "é日", "", "it's", "new\nline"])
def test_has_pair_finds_any_key(database: Database, key: str) -> None:
    column = literal({key: "v'\"1", "other": "2"}, Job.user_metadata.type)
    with database.transaction() as session:
        assert session.scalar(select(has_pair(column, key, "v'\"1"))) is True
        assert not session.scalar(select(has_pair(column, key, "2")))
        assert not session.scalar(select(has_pair(column, key + "x", "v'\"1")))


def test_half_a_surrogate_pair_is_the_clients_fault(database: Database) -> None:
    with pytest.raises(Unprocessable) as caught, database.transaction() as session:
        seen(session, hostname="\ud800")
    assert caught.value.code == "invalid-text"


@pytest.mark.postgres
def test_nul_is_the_clients_fault_on_postgres(postgres_database: Database) -> None:
    for facts in ({"hostname": "a\0b"}, {"queues": ["a\0b"]}):
        with pytest.raises(Unprocessable) as caught, postgres_database.transaction() as session:
            seen(session, **facts)
        assert caught.value.code == "invalid-text"
        assert "a\\" not in "".join(traceback.format_exception(caught.value))


def test_sqlite_is_tuned(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        pragma = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    safe = sqlite3.sqlite_version_info >= (3, 51, 3)
    assert pragma == {
        "journal_mode": "wal" if safe else "truncate",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


@pytest.mark.postgres
def test_postgres_is_tuned(postgres_database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
    with postgres_database.transaction() as session:
        assert [session.scalar(text(f"SHOW {name}")) for name in names] == ["5s", "2s", "10s", "on"]
        assert session.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_sqlite_busy_is_unavailable(sqlite_database: Database) -> None:
    with sqlite_database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    holder = Database(str(sqlite_database.url))
    with holder.transaction() as holding:
        clock(holding)  # the first statement takes the lock
        with pytest.raises(Unavailable) as caught, sqlite_database.transaction() as session:
            clock(session)
        assert count(sqlite_database) == 0  # readers are not kept out
    holder.close()
    assert caught.value.code == "database-unavailable"
    assert caught.value.headers["Retry-After"]


def test_sqlite_writers_wait_for_each_other(sqlite_database: Database) -> None:
    entered = threading.Event()

    def hold() -> None:
        with sqlite_database.transaction() as session:
            seen(session, "wrk_1")
            entered.set()
            time.sleep(0.3)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(60)
    with sqlite_database.transaction() as session:
        # A deferred transaction would read first, then be refused: here the other's commit is already seen.
        assert session.scalar(select(func.count()).select_from(Worker)) == 1
        seen(session, "wrk_2")
    holder.join()
    assert count(sqlite_database) == 2


def test_full_disk_is_storage_full(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count={pages}"))
    with pytest.raises(StorageFull) as caught, sqlite_database.transaction() as session:
        for number in range(1000):
            seen(session, f"wrk_{number}", hostname="h" * 1000)
    assert caught.value.code == "storage-full"
    assert count(sqlite_database) == 0


def test_no_server_is_unavailable() -> None:
    database = Database("postgresql://nobody:nothing@127.0.0.1:9/none")
    with pytest.raises(Unavailable) as caught, database.transaction() as session:
        clock(session)
    assert caught.value.code == "database-unavailable"
    assert "nothing" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_urls_mean_psycopg_3(scheme: str) -> None:
    url = engine.driver_url(f"{scheme}://u:p@h/d")
    assert url.drivername == "postgresql+psycopg"
    assert url.render_as_string(hide_password=False).endswith("://u:p@h/d")


@pytest.mark.postgres
def test_run_tries_again_after_a_deadlock(postgres_database: Database) -> None:
    database = postgres_database
    for worker_id in ("wrk_1", "wrk_2"):
        database.run(lambda session, worker_id=worker_id: seen(session, worker_id))
    meet = threading.Barrier(2)
    tries: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(session: Session) -> None:
            tries.append(first)
            seen(session, first, pid=7)
            if len(tries) <= 2:
                meet.wait(60)
            seen(session, second, pid=7)

        database.run(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("wrk_1", "wrk_2"), ("wrk_2", "wrk_1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(tries) == 3
    with database.transaction() as session:
        assert {worker.pid for worker in workers.alive(session, 60)} == {7}


@pytest.mark.postgres
def test_run_tries_again_when_the_connection_was_lost_before_the_commit(postgres_database: Database) -> None:
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        seen(session)
        if len(tries) == 1:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    postgres_database.run(work)
    assert len(tries) == 2
    assert count(postgres_database) == 1


@pytest.mark.postgres
def test_run_does_not_repeat_a_commit_whose_answer_was_lost(postgres_database: Database) -> None:
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        seen(session)
        backend = session.scalar(text("SELECT pg_backend_pid()"))
        with postgres_database.transaction() as other:
            other.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})

    with pytest.raises(Unavailable):
        postgres_database.run(work)
    assert len(tries) == 1


@pytest.mark.postgres
def test_a_lock_held_too_long_is_unavailable(postgres_database: Database) -> None:
    postgres_database.run(seen)
    with postgres_database.transaction() as holder:
        seen(holder)
        began = time.monotonic()
        with pytest.raises(Unavailable), postgres_database.transaction() as session:
            seen(session)
        assert time.monotonic() - began < 4


def test_a_connection_without_another_end_is_noticed_in_seconds(postgres_database: Database) -> None:
    with postgres_database.transaction(read_only=True) as session:
        connection = session.connection().connection.dbapi_connection
        assert connection is not None
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [line.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [5, 2, 3]


def test_the_operator_may_want_another_patience(postgres_url: str) -> None:
    database = Database(f"{postgres_url}?keepalives_idle=60")
    with database.transaction(read_only=True) as session:
        connection = session.connection().connection.dbapi_connection
        assert connection is not None
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 2
    database.close()
