"""The lease of a worker: renewed while the database answers, given up in time when it does not."""

import sqlite3
import threading
import time

import pytest

from app.errors import Unavailable
from app.schemas.jobs import WorkerRef
from app.store import engine, jobs
from app.store.engine import Database
from worker import lease as lease_module
from worker.events import Warned
from worker.lease import Lease, clock
from worker.tracking.recorder import Recorder


@pytest.fixture
def claimed(world):
    """Claim a job, and make leases on it."""
    job_id = world.submit()
    claim = world.database.run(
        lambda session: jobs.claim_next(
            session, owner="w", queues=["default"], lease_seconds=60.0, worker=WorkerRef(id="w")
        )
    )
    leases = []

    def make(lease_seconds=60.0, heartbeat_seconds=0.05, stall_seconds=60.0):
        lease = Lease(
            world.database,
            claim,
            Recorder(),
            claimed_at=clock(),
            lease_seconds=lease_seconds,
            heartbeat_seconds=heartbeat_seconds,
            stall_seconds=stall_seconds,
        )
        leases.append(lease)
        return lease

    make.job_id = job_id
    make.claim = claim
    yield make
    for lease in leases:
        lease.stop()


def test_a_lease_is_renewed_and_reports_are_written(world, claimed):
    lease = claimed()
    first = world.job(claimed.job_id).lease_until
    lease.start()
    lease.recorder.hear(Warned(code="w", detail="d"))
    job = world.wait_until(claimed.job_id, lambda job: job.lease_until > first and job.warnings)
    assert [warning["code"] for warning in job.warnings] == ["w"]
    assert not lease.lost()


def test_a_worker_that_is_stuck_in_a_call_loses_its_job(world, claimed):
    lease, leave = claimed(stall_seconds=0.3), threading.Event()

    def work():
        lease.start()
        lease.recorder.enter("publishing")
        leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    job = world.wait_until(claimed.job_id, lambda job: job.status == "queued")
    leave.set()
    thread.join()
    assert (job.crash_count, job.attempt) == (1, 1)
    assert "got stuck in a call that did not return while publishing" in job.status_reason
    assert lease.lost()


def test_a_cancel_is_heard_by_the_next_beat(world, claimed):
    lease = claimed()
    lease.start()
    world.database.run(lambda session: jobs.cancel(session, claimed.job_id))
    assert lease.cancel_requested.wait(3.0)
    assert not lease.lost()


def test_a_fallen_claim_is_noticed_and_nothing_more_is_written(world, claimed):
    lease = claimed()
    world.database.run(lambda session: jobs.release(session, claimed.claim, crashed=True, reason="r"))
    before = len(world.history(claimed.job_id))
    lease.recorder.hear(Warned(code="w", detail="d"))
    assert lease.flush() is False
    assert lease.lost()
    assert len(world.history(claimed.job_id)) == before


def test_a_lease_without_an_answer_is_given_up_before_it_ends(claimed):
    lease = claimed(lease_seconds=1.0)
    began = clock()
    while not lease.lost():
        time.sleep(0.005)
    assert 0.85 < clock() - began < 1.0


def test_a_lease_that_was_given_up_stays_given_up(world, claimed):
    lease = claimed(lease_seconds=0.2)
    until = world.job(claimed.job_id).lease_until
    time.sleep(0.2)
    assert lease.lost()
    lease.beat()
    assert lease.lost()
    assert world.job(claimed.job_id).lease_until == until


def test_a_renewal_that_comes_too_late_gives_the_job_back(world, claimed, monkeypatch):
    lease = claimed(lease_seconds=0.4)
    heartbeat = jobs.heartbeat

    def slow(*arguments, **options):
        time.sleep(0.45)
        return heartbeat(*arguments, **options)

    monkeypatch.setattr(lease_module.jobs, "heartbeat", slow)
    lease.beat()
    assert lease.lost()
    job = world.job(claimed.job_id)
    assert (job.status, job.crash_count, job.interruption_count) == ("queued", 0, 1)


def test_the_time_of_the_question_counts_not_of_the_answer(world, claimed, monkeypatch):
    lease = claimed(lease_seconds=60.0)
    asked = clock()
    heartbeat = jobs.heartbeat

    def slow(*arguments, **options):
        time.sleep(0.3)
        return heartbeat(*arguments, **options)

    monkeypatch.setattr(lease_module.jobs, "heartbeat", slow)
    lease.beat()
    assert lease._renewed_at - asked < 0.1


def test_reports_wait_while_the_database_is_locked(world, claimed, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    lease = claimed()
    lease._database = Database(world.settings.resolved_database_url)
    lease.recorder.hear(Warned(code="kept", detail="d"))
    path = world.settings.data_dir / "tunesmith.db"
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable):
        lease.flush()
    intruder.execute("ROLLBACK")
    intruder.close()
    assert lease.flush() is True
    lease._database.close()
    assert [warning["code"] for warning in world.job(claimed.job_id).warnings] == ["kept"]


def test_the_clock_runs_on():
    first = clock()
    time.sleep(0.01)
    assert 0.01 <= clock() - first < 5.0
