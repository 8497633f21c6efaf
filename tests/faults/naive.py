"""The naive design, as a control: the message carries the job, is acknowledged late, and nobody checks who writes.

It is how a Celery application is usually written: a row in SQL, ``acks_late``, a visibility timeout. A campaign that
finds nothing wrong with it would be too weak to say anything about the service.
"""

import ctypes
import os
import signal
import sqlite3
import time
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from celery import Celery

from app.queue.embedded import EmbeddedBroker
from tests.faults import checker
from tests.faults.checker import Violation
from tests.faults.field import Accepted
from tests.faults.history import History, JobHistory, Version
from tests.faults.patience import slowness
from tests.faults.processes import PR_SET_PDEATHSIG, context
from tests.faults.recipes import Recipe
from worker.listener import consumer

# By default the same comes a hundred seconds later.
TRANSPORT = {"visibility_timeout": 1, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
JOB_SECONDS = 3.0
PATIENCE_SECONDS = 15.0
SCHEMA = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT);
CREATE TABLE starts (job_id TEXT);
CREATE TABLE versions (job_id TEXT);
"""


def make_app(url: str, database: Path) -> Celery:
    """Make the naive application."""
    app = Celery("naive", broker=url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_pool="threads",
        worker_concurrency=1,
        worker_hijack_root_logger=False,
        broker_transport_options=TRANSPORT,
    )

    def train(job_id: str) -> None:
        write(database, "INSERT INTO starts VALUES (?)", job_id)
        write(database, "UPDATE jobs SET status = 'running' WHERE id = ?", job_id)
        time.sleep(JOB_SECONDS)
        write(database, "INSERT INTO versions VALUES (?)", job_id)
        write(database, "UPDATE jobs SET status = 'succeeded' WHERE id = ?", job_id)

    app.task(train, name="train", ignore_result=True, shared=False)
    return app


def write(database: Path, statement: str, *values: str) -> None:
    """Run one statement in a transaction."""
    with closing(sqlite3.connect(database, timeout=10.0)) as connection, connection:
        connection.execute(statement, values)


def work(url: str, database: Path) -> None:
    """Be a naive worker."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    consumer(make_app(url, database)).start()


def control(folder: Path) -> list[Violation]:
    """Give the promises that the naive design breaks under what the service survives: a long job, a flushed broker."""
    database = folder / "naive.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
    broker = EmbeddedBroker(folder / "naive")
    broker.start()
    crew: list[ForkServerProcess] = []
    try:
        history = _hurt(broker.url, database, crew)
        return [*checker.accepted_jobs_end(history), *checker.one_version_iff_succeeded(history)]
    finally:
        for worker in crew:
            worker.kill()
            worker.join()
        broker.stop()


def _hurt(url: str, database: Path, crew: list[ForkServerProcess]) -> History:
    """Run a job that outlasts its visibility, then lose the messages of others."""
    app = make_app(url, database)
    long, *others = ids = [f"job_{number}" for number in range(4)]
    for job_id in ids:
        write(database, "INSERT INTO jobs VALUES (?, 'queued')", job_id)
    with app.connection_for_write() as connection:
        app.send_task("train", args=[long], connection=connection, retry=False)
        for _ in range(2):
            crew.append(context.Process(target=work, args=(url, database)))
            crew[-1].start()
        _until(database, "SELECT count(*) > 1 FROM starts")
        for job_id in others:
            app.send_task("train", args=[job_id], connection=connection, retry=False)
        connection.default_channel.client.flushall()  # type: ignore[attr-defined]
        _until(database, "SELECT count(*) > 1 FROM versions")
    return _history(database, ids)


def _until(database: Path, question: str) -> None:
    """Wait for it, or for long enough: the checker will tell."""
    deadline = time.monotonic() + PATIENCE_SECONDS * slowness()
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(database, timeout=10.0)) as connection:
            if connection.execute(question).fetchone() == (1,):
                return
        time.sleep(0.05)


def _history(database: Path, ids: list[str]) -> History:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT id, status FROM jobs").fetchall()
        versions = [id for (id,) in connection.execute("SELECT job_id FROM versions")]
    jobs = {id: JobHistory(id, status, 0, 0, []) for id, status in rows}
    for id in versions:
        jobs[id].versions.append(Version(id, 0, ""))
    return History(accepted={id: Accepted(id, Recipe(real=True)) for id in ids}, jobs=jobs)
