"""Faults of processes: killed, frozen, hung, poisoned, drained, deaf."""

import os
import signal
import time

from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.processes import gone
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario


@scenario("worker killed while it trains", "P2 P4 P6")
def worker_killed(field: Field) -> None:
    field.api()
    first = field.worker()
    job_id = field.hold(Recipe(hold=12))
    (child,) = first.children()
    first.kill()
    died = time.monotonic()
    field.until(lambda: gone(child), "the child dies with its worker", 1.0)
    field.worker()
    field.until_job(job_id, lambda job: job.attempt == 2)
    taken_after = time.monotonic() - died
    assert taken_after < field.lease_seconds + 5.0 * slowness(), f"taken over after {taken_after:.1f} s"
    field.succeeded(job_id, attempt=2, crashes=1)


@scenario("training process killed while it trains", "P2 P4 P6")
def child_killed(field: Field) -> None:
    field.api()
    worker = field.worker()
    job_id = field.hold(Recipe(hold=12))
    os.kill(worker.children()[0], signal.SIGKILL)
    killed = time.monotonic()
    field.until_job(job_id, lambda job: job.crash_count == 1)
    assert time.monotonic() - killed < 3.0 * slowness()
    field.succeeded(job_id, attempt=2, crashes=1)


@scenario("training process killed while it exports", "P2 P12")
def killed_exporting(field: Field) -> None:
    field.api()
    field.worker()
    (job_id,) = field.submit(Recipe(mode="dies-exporting"))
    field.succeeded(job_id, attempt=2, crashes=1)


@scenario("worker frozen past its lease, then woken", "P3 P5")
def worker_frozen(field: Field) -> None:
    field.api()
    zombie = field.worker()
    job_id = field.hold(Recipe(hold=8))
    field.note("worker frozen")
    field.freeze(zombie)
    field.worker()
    field.until_job(job_id, lambda job: job.attempt == 2)
    (child,) = zombie.children()
    zombie.thaw()
    field.until(lambda: gone(child), "the zombie's child is killed", 2.0)
    field.succeeded(job_id, attempt=2, crashes=1)


@scenario("worker frozen until its successor has published", "P2 P3 P5")
def worker_frozen_long(field: Field) -> None:
    field.api()
    zombie = field.worker()
    job_id = field.hold(Recipe(hold=18))
    field.note("worker frozen")
    field.freeze(zombie)
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=1)
    zombie.thaw()
    time.sleep(1.0)  # what it would write, it writes now


@scenario("training process hangs", "P4 P6")
def hung(field: Field) -> None:
    field.api()
    field.worker(STALL_SECONDS=f"{4 * slowness():.0f}")
    (job_id,) = field.submit(Recipe(mode="hang"))
    field.succeeded(job_id, attempt=2, crashes=1)


SPENDTHRIFT = {"hyperparameters": {"max_train_seconds": 1.0}}


@scenario("training that never looks at its budget: ended, and what was saved becomes the version", "P2 P6")
def spendthrift(field: Field) -> None:
    field.api()
    field.worker(BUDGET_GRACE_SECONDS="0.5")
    (job_id,) = field.submit(Recipe(steps=2000, hold=12, mode="spendthrift", wishes=SPENDTHRIFT))
    field.succeeded(job_id, attempt=2, crashes=0)
    job = field.job(job_id)
    assert job.interruption_count == 1
    assert [data["step"] for kind, data in field.events(job_id) if kind == "stopped"] == [10]
    assert job.usage["trained_seconds"] >= 1.5
    (in_vain,) = field.submit(Recipe(steps=2000, every=1000, hold=12, mode="spendthrift", wishes=SPENDTHRIFT))
    (job,) = field.wait(in_vain)
    assert (job.status, job.attempt, job.error["code"]) == ("failed", 2, "budget-used-up"), job.error


@scenario("poison: a job kills its process each time", "P7")
def poison(field: Field) -> None:
    field.api()
    field.worker()
    bad, good = field.submit(Recipe(mode="poison"), Recipe())
    (job,) = field.wait(bad)
    assert (job.status, job.crash_count, job.error["code"]) == ("failed", 3, "worker-lost-limit"), job.error
    field.succeeded(good, attempt=1, crashes=0)


@scenario("SIGTERM: the job moves on without a repeated step", "P8")
def drained(field: Field) -> None:
    field.api()
    first = field.worker()
    job_id = field.hold(Recipe(every=1000, hold=12))
    began = time.monotonic()
    assert first.stop(30.0 * slowness()) == 0
    assert time.monotonic() - began < 10.0 * slowness()
    assert field.job(job_id).interruption_count == 1
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=0)


@scenario("SIGTERM storm: rolling restarts of two workers", "P8")
def storm(field: Field) -> None:
    field.api()
    crew = [field.worker(), field.worker()]
    field.submit(*(Recipe(steps=12, every=4) for _ in range(8)))
    for turn in range(4):
        time.sleep(0.6)
        old = crew[turn % 2]
        old.signal(signal.SIGTERM)
        crew[turn % 2] = field.worker()
        old.signal(signal.SIGTERM)  # a second one while it drains
        assert old.wait(20.0 * slowness()) == 0, old.tail()
    for job in field.wait():
        assert (job.status, job.crash_count) == ("succeeded", 0), job.status_reason


@scenario("cancel of a training that will not listen", "P9")
def deaf(field: Field) -> None:
    field.api()
    worker = field.worker()
    job_id = field.hold(Recipe(hold=3, mode="deaf"))
    (child,) = worker.children()
    asked = time.monotonic()
    assert field.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    field.until(lambda: gone(child), "the process is gone", 4.0)
    (job,) = field.wait(job_id)
    assert (job.status, job.crash_count) == ("cancelled", 0)
    assert time.monotonic() - asked < 6.0 * slowness()
