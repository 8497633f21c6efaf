"""The reconciler: brings back what workers and brokers lose."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.queue import rescue
from app.queue.celery import make_celery
from app.queue.embedded import EmbeddedBroker
from app.queue.enqueue import Doorbell
from app.queue.rescue import Reconciler
from app.settings import Settings
from app.store import idempotency, jobs
from app.store.engine import Database
from app.store.tables import IdempotencyKey, Job


def settings(data_dir: Path, sweep: float = 0.05) -> Settings:
    return Settings(data_dir=data_dir, sweep_seconds=sweep)


def queued(broker: EmbeddedBroker) -> int:
    celery = make_celery(broker.url)
    with celery.connection_for_read() as connection:
        count: int = connection.default_channel.queue_declare("default").message_count
    celery.close()
    return count


def wait_for(condition: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_lost_worker_and_a_lost_message_are_made_good(store: Any, valkey: EmbeddedBroker, data_dir: Path) -> None:
    lost = store.running(lease=-1)
    silent = store.submit()
    store.do(lambda session: session.execute(update(Job).where(Job.id == silent).values(rung_at=None)))
    bell = Doorbell(valkey.url)
    reconciler = Reconciler(store.database, bell, settings(data_dir, sweep=5))
    reconciler.sweep()
    assert store.status(lost.job_id) == "queued"
    assert bell.flush(5)
    assert queued(valkey) == 2, "both ring, once"
    reconciler.sweep()
    assert bell.flush(5)
    assert queued(valkey) == 2, "and not again before sweep_seconds have passed"
    bell.close()


def test_it_runs_by_itself_until_stopped(store: Any, data_dir: Path) -> None:
    reconciler = Reconciler(store.database, Doorbell("redis://127.0.0.1:9/0"), settings(data_dir))
    reconciler.start()
    for _ in range(3):
        claim = store.running(lease=0.01)
        assert wait_for(lambda claim=claim: store.status(claim.job_id) == "queued")
    reconciler.stop()
    claim = store.running(lease=0.01)
    time.sleep(0.3)
    assert store.status(claim.job_id) == "running", "nobody sweeps any more"


def test_it_outlives_a_database_that_is_away(data_dir: Path, tmp_path: Path) -> None:
    database = Database("postgresql://nobody:nothing@127.0.0.1:9/none")
    reconciler = Reconciler(database, Doorbell("redis://127.0.0.1:9/0"), settings(data_dir))
    reconciler.sweep()
    unmigrated = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    Reconciler(unmigrated, Doorbell("redis://127.0.0.1:9/0"), settings(data_dir)).sweep()
    unmigrated.close()


def test_it_forgets_old_idempotency_keys(store: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("old", "new"):
        store.do(idempotency.save, key, "POST /jobs", body_sha256="x", status_code=202, headers={}, body={})
    longer_ago = store.dataset.created_at.replace(year=2020)
    store.do(
        lambda session: session.execute(
            update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=longer_ago)
        )
    )
    reconciler = Reconciler(store.database, Doorbell("redis://127.0.0.1:9/0"), settings(data_dir))
    reconciler.sweep()
    assert store.do(idempotency.find, "old", "POST /jobs") is not None, "tidying is for later"
    monkeypatch.setattr(rescue, "TIDY_SECONDS", 0.0)
    reconciler.sweep()
    assert store.do(idempotency.find, "old", "POST /jobs") is None
    assert store.do(idempotency.find, "new", "POST /jobs") is not None


def test_several_reconcilers_do_not_disturb_each_other(store: Any, data_dir: Path) -> None:
    expired = [store.running(lease=-1).job_id for _ in range(20)]
    sweepers = [Reconciler(store.database, Doorbell("redis://127.0.0.1:9/0"), settings(data_dir)) for _ in range(4)]
    for sweeper in sweepers:
        sweeper.start()
    assert wait_for(lambda: store.do(jobs.counts) == {"queued": 20})
    for sweeper in sweepers:
        sweeper.stop()
    assert {store.job(job_id).crash_count for job_id in expired} == {1}
    assert {len(store.events(job_id)) for job_id in expired} == {3}
