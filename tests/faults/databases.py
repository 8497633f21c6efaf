"""Faults of the database: answers lost, restarts inside a commit, locks of strangers, migrations, a full disk."""

import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from app.store import migrate
from tests.faults import dataset
from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.processes import context
from tests.faults.proxy import Proxy
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario

JOB, VERSION = "INSERT INTO jobs", "INSERT INTO model_versions"
LOCKED_SECONDS = 4.0
MIGRATING_SECONDS = 1.0
FEW_PAGES = 16_384
"""Bytes by which a full database may still grow."""


def patient() -> dict[str, str]:
    """Give settings of a worker that outlives the restart of its database."""
    return {"LEASE_SECONDS": f"{15 * slowness():.0f}"}


def quick() -> Recipe:
    """Train a few steps."""
    return Recipe(steps=4)


@scenario("the answer to the COMMIT of a job is lost", "P1 P11", databases=("postgres",))
def lost_submit(field: Field) -> None:
    with Proxy(field.database_url) as proxy:
        field.api(DATABASE_URL=proxy.url)
        field.worker()
        proxy.set_trap(JOB, "after")
        recipe = quick()
        assert field.submit_once(recipe).status_code == 503
        assert proxy.sprung.is_set(), "the trap was not sprung"
        (job_id,) = field.submit(recipe)
        field.succeeded(job_id, attempt=1, crashes=0)


@scenario("the answer to the COMMIT of a version is lost", "P2 P5", databases=("postgres",))
def lost_publish(field: Field) -> None:
    with Proxy(field.database_url) as proxy:
        field.api()
        field.worker(DATABASE_URL=proxy.url)
        proxy.set_trap(VERSION, "after")
        (job_id,) = field.submit(quick())
        field.succeeded(job_id, attempt=1, crashes=0)
        assert proxy.sprung.is_set(), "the trap was not sprung"


@scenario("Postgres crashes before and inside COMMITs", "P1 P2 P5", databases=("postgres",), own_server=True)
def crash_inside(field: Field) -> None:
    def crash() -> None:
        field.server.stop(signal.SIGQUIT)

    with Proxy(field.database_url) as proxy:
        field.api(DATABASE_URL=proxy.url)
        field.worker(DATABASE_URL=proxy.url, **patient())
        for moment in ("before", "during"):
            proxy.set_trap(VERSION, moment, crash)
            (job_id,) = field.submit(quick())
            assert proxy.sprung.wait(20.0 * slowness()), "the trap was not sprung"
            field.server.start()
            field.succeeded(job_id, attempt=1, crashes=0)
        for moment in ("before", "during"):
            proxy.set_trap(JOB, moment, crash)
            recipe = quick()
            answer = field.submit_once(recipe)
            assert proxy.sprung.wait(20.0 * slowness()), "the trap was not sprung"
            field.server.start()
            assert answer.status_code in ((503,) if moment == "before" else (201, 503)), answer.text
            (job_id,) = field.submit(recipe)
            field.succeeded(job_id, attempt=1, crashes=0)


@scenario("Postgres restarted as by a crash, while jobs run", "P1 P2 P5", databases=("postgres",), own_server=True)
def postgres_restarted(field: Field) -> None:
    field.api()
    field.worker()
    job_id = field.hold(Recipe(hold=5))
    field.submit(quick(), quick())
    for _ in range(2):
        field.server.stop(signal.SIGQUIT)
        assert field.submit_once(quick()).status_code == 503
        field.server.start()
        time.sleep(0.5)
    field.release(job_id)
    for job in field.wait():
        assert (job.status, job.crash_count) == ("succeeded", 0), job.status_reason


@scenario("SQLite locked by a stranger for four seconds", "P1 P3", databases=("sqlite",))
def sqlite_locked(field: Field) -> None:
    field.api()
    field.worker(**patient())
    job_id = field.hold(Recipe(hold=5))
    stranger = sqlite3.connect(sqlite_file(field), isolation_level=None, timeout=5.0)
    stranger.execute("BEGIN EXCLUSIVE")
    locked = time.monotonic()
    with ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(field.submit_once, quick()) for _ in range(2)]
        question = clients.submit(field.client.get, f"/jobs/{job_id}")
        field.release(job_id)  # it trains on, and ends into the lock
        time.sleep(LOCKED_SECONDS)
        assert not any(answer.done() for answer in answers), "answered before it was written"
        stranger.execute("ROLLBACK")
        assert {answer.result().status_code for answer in answers} == {201}
        assert question.result().status_code == 200
    stranger.close()
    assert time.monotonic() - locked < LOCKED_SECONDS + 5.0 * slowness()
    for job in field.wait():
        assert (job.status, job.attempt) == ("succeeded", 1), job.status_reason


@scenario("disk full for the database: nothing is accepted, nothing lost", "P1 P11", databases=("sqlite",))
def database_full(field: Field) -> None:
    size = sqlite_file(field).stat().st_size
    full = field.api(f"largest-file:{size + FEW_PAGES}")
    refused = None
    for _ in range(40):
        recipe = quick()
        answer = field.submit_once(recipe)
        if answer.status_code != 201:
            refused = answer
            break
    assert refused is not None, "the trap was not sprung"
    assert refused.status_code in (503, 507), refused.text
    assert refused.json()["code"] in ("database-unavailable", "storage-full")
    assert field.client.get("/jobs").status_code == 200
    full.kill()
    field.api()
    field.worker()
    field.submit(recipe)
    assert {job.status for job in field.wait()} == {"succeeded"}


@scenario("migrations while a worker waits and while a job runs", "P1 P2 P5")
def migrated(field: Field) -> None:
    migrate.downgrade(field.database_url, "base")
    field.worker(**patient())
    time.sleep(0.5)  # it finds no tables, and waits for them
    several_at_once(field)
    field.database.run(dataset.insert)
    field.api()
    job_id = field.hold(Recipe(hold=5))
    with field.database.transaction() as session:  # as the next release's migration would
        session.execute(text("ALTER TABLE jobs ADD COLUMN of_the_next_release VARCHAR"))
        field.release(job_id)
        time.sleep(MIGRATING_SECONDS)
    several_at_once(field)
    field.succeeded(job_id, attempt=1, crashes=0)
    field.succeeded(*field.submit(quick()), attempt=1, crashes=0)


def several_at_once(field: Field) -> None:
    """Migrate from three processes."""
    crew = [context.Process(target=migrate.upgrade, args=(field.database_url,)) for _ in range(3)]
    for process in crew:
        process.start()
    for process in crew:
        process.join(60.0 * slowness())
    assert [process.exitcode for process in crew] == [0, 0, 0]


def sqlite_file(field: Field) -> Path:
    """Give the file of a field's database."""
    return Path(field.database_url.removeprefix("sqlite:///"))
