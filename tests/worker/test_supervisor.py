"""A worker's slots with real processes: what the job, the registry and the artifact store hold after each fate."""

import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.queue import enqueue
from app.schemas.jobs import BaseModelRef
from app.settings import Settings
from app.store import engine, jobs, workers
from app.store.engine import Database
from worker import attempt
from worker import lease as lease_module
from worker import supervisor as supervisor_module
from worker.__main__ import STOP_SECONDS
from worker.lease import clock
from worker.slot import Slot


def running_child(world, job_id, kind="step"):
    """Wait until the training process of a job is at work, and give its process id."""
    world.wait_until(job_id, lambda job: job.progress.get("step", 0) > 0 if kind == "step" else job.phase == "training")
    (pid,) = children()
    return pid


def children():
    """List the training processes of this test process."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid() and b"worker.child" in command:
            found.append(int(folder.name))
    return found


def statuses(world, job_id):
    """List the transitions of a job."""
    return [(data["from"], data["to"]) for _, data in world.history(job_id, "status")]


def test_a_job_succeeds_and_publishes_one_version(everywhere):
    world = everywhere
    job_id = world.submit()
    world.supervisor()
    job = world.wait(job_id, "succeeded")
    (version,) = world.versions()
    assert (version.job_id, version.attempt, version.version) == (job_id, 1, 1)
    assert version.artifact_prefix == f"models/{job_id}/1"
    assert f"models/{job_id}/1/manifest.json" in world.stored()
    assert len(world.stored()) == len(version.manifest["files"]) + 1
    assert version.bytes == sum(world.artifacts.size(key) for key in world.stored())
    assert statuses(world, job_id) == [(None, "queued"), ("queued", "running"), ("running", "succeeded")]
    assert [span["phase"] for span in job.phase_history] == [
        "preparing",
        "training",
        "evaluating",
        "exporting",
        "publishing",
    ]
    assert (job.crash_count, job.interruption_count, job.error) == (0, 0, None)
    assert job.status_reason == "Published as version 1 of toy."


def test_what_the_child_reports_is_in_the_job(everywhere):
    world = everywhere
    job_id = world.submit()
    world.supervisor()
    job = world.wait(job_id, "succeeded")
    assert job.stop_reason == "completed"
    assert job.best_metric == {"name": "f1_macro", "value": 0.5, "step": 6, "epoch": 2.0}
    assert set(job.evaluations) == {"validation", "test"}
    assert job.last_metrics["train/loss"] == pytest.approx(1 / 6)
    assert job.worker["device"] == "toy device"
    assert job.hyperparameters["learning_rate"] == 1e-4
    assert [warning["code"] for warning in job.warnings] == ["toy"]
    assert job.usage["phases"] == {"training": 0.5}
    assert job.progress["fraction"] == 1.0
    assert {"phase", "resolved", "step", "evaluated", "stopped", "warning"} <= {
        kind for kind, _ in world.history(job_id)
    }


def test_jobs_of_one_model_become_versions_in_a_row(everywhere):
    world = everywhere
    ids = [world.submit() for _ in range(3)]
    world.supervisor(worker_slots=2)
    for job_id in ids:
        world.wait(job_id, "succeeded")
    assert sorted(version.version for version in world.versions()) == [1, 2, 3]
    assert {version.job_id for version in world.versions()} == set(ids)


def test_a_job_gets_the_gpus_it_asks_for_and_no_more_than_there_are(world, tmp_path):
    report = tmp_path / "report.json"
    two = world.submit(report=str(report), hyperparameters={"devices": 2})
    three = world.submit(hyperparameters={"devices": 3})
    one = world.submit()  # after these two, since their GPUs come back
    world.supervisor(gpus=("4", "7"))
    world.wait(one, "succeeded")
    assert world.job(two).status == "succeeded"
    assert json.loads(report.read_text())["environment"]["CUDA_VISIBLE_DEVICES"] == "4,7"
    error = world.job(three).error
    assert (error["code"], error["errors"][0]["pointer"]) == ("too-few-devices", "/hyperparameters/devices")
    assert error["detail"] == "devices is 3, but the worker that took the job has 2 GPUs."


def test_nothing_of_an_attempt_stays_on_the_disk(world):
    for toy in ("train", "refuse"):
        world.submit(toy)
    supervisor = world.supervisor(worker_slots=1)
    world.wait_until(world.submit(), lambda job: job.status == "succeeded")
    folder = supervisor._workspace.folder
    deadline = time.monotonic() + 5.0
    while list(folder.iterdir()):  # tidying comes after the job's end
        assert time.monotonic() < deadline
        time.sleep(0.02)
    supervisor.drain()
    assert not folder.exists()


def test_a_killed_child_counts_as_a_crash_and_the_job_runs_again(everywhere):
    world = everywhere
    job_id = world.submit("first:slow")
    world.supervisor()
    os.kill(running_child(world, job_id), signal.SIGKILL)
    job = world.wait(job_id, "succeeded")
    assert (job.attempt, job.crash_count) == (2, 1)
    assert statuses(world, job_id)[2] == ("running", "queued")
    assert [version.attempt for version in world.versions()] == [2]


def test_three_crashes_are_enough(everywhere):
    world = everywhere
    job_id, other = world.submit("segfault"), world.submit()
    world.supervisor()
    job = world.wait(job_id, "failed")
    assert (job.attempt, job.crash_count) == (3, 3)
    assert job.error["code"] == "worker-lost-limit"
    assert "SIGSEGV" in job.error["cause"]["detail"]
    assert world.wait(other, "succeeded").crash_count == 0
    assert world.wait(job_id, "failed").attempt == 3


@pytest.mark.parametrize(
    ("toy", "code", "category"),
    [
        ("refuse", "too-few-examples", "data"),
        ("diverge", "training-diverged", "data"),
        ("gpu-memory", "gpu-out-of-memory", "resource"),
        ("full", "storage-full", "resource"),
        ("wrong-hash", "damaged-bundle", "internal"),
    ],
)
def test_a_final_failure_is_not_tried_again(world, toy, code, category):
    job_id = world.submit(toy)
    world.supervisor()
    job = world.wait(job_id, "failed")
    assert (job.attempt, job.crash_count) == (1, 0)
    assert (job.error["code"], job.error["category"]) == (code, category)
    assert job.error["remedy"]
    assert job.status_reason == job.error["detail"]
    assert world.versions() == []
    assert world.stored() == []


def test_a_child_that_ends_without_a_bundle_has_crashed(world):
    job_id = world.submit("first:silent")
    world.supervisor()
    assert world.wait(job_id, "succeeded").crash_count == 1


def test_the_log_of_a_crash_is_kept_for_the_operator(world):
    job_id = world.submit("first:bug")
    world.supervisor()
    world.wait(job_id, "succeeded")
    (log,) = (world.settings.data_dir / "logs" / "attempts").iterdir()
    assert log.name == f"{job_id}-1.log"
    assert "KeyError" in log.read_text()


def test_a_hung_child_is_taken_for_stalled(world):
    job_id = world.submit("first:hang")
    world.supervisor(stall_seconds=3.0)
    job = world.wait(job_id, "succeeded")
    assert job.crash_count == 1
    assert "no progress" in world.history(job_id, "status")[2][1]["reason"]


@pytest.mark.parametrize(("toy", "longest"), [("slow", 1.5), ("deaf", 3.0), ("hang", 3.0)])
def test_a_cancel_ends_the_child_within_its_grace(world, toy, longest):
    job_id = world.submit(toy)
    world.supervisor()
    running_child(world, job_id, "phase")
    began = time.monotonic()
    assert world.database.run(lambda session: jobs.cancel(session, job_id)) == "cancelling"
    job = world.wait(job_id, "cancelled")
    assert time.monotonic() - began < longest  # heartbeat 0.2 s, grace 1 s, and some for a busy machine
    assert children() == []
    assert job.crash_count == 0
    assert job.status_reason == "The client cancelled the job."
    assert world.versions() == []


def test_a_worker_that_lost_its_lease_kills_its_child_and_writes_nothing(everywhere):
    world = everywhere
    job_id = world.submit("first:deaf")
    supervisor = world.supervisor()
    pid = running_child(world, job_id)
    before = len(world.history(job_id))
    # Another takes the job away behind the worker's back, as the reconciler does when a lease runs out.
    with world.database.transaction() as session:
        job = jobs.get(session, job_id)
        claim = jobs.Claim(job_id, job.attempt, supervisor.id)
        assert jobs.release(session, claim, crashed=True, reason="Taken away.") == "queued"
        job.queue = "elsewhere"  # nobody here may claim it again
    deadline = time.monotonic() + 3.0
    while pid in children():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    later = world.history(job_id)[before:]
    assert [data["reason"] for kind, data in later if kind == "status"] == [
        "Taken away. The job waits for another attempt."
    ]
    assert not [kind for kind, _ in later[[kind for kind, _ in later].index("status") + 1 :]]
    assert world.job(job_id).crash_count == 1


def test_a_worker_cut_off_from_the_database_stops_before_its_lease_ends(world):
    job_id = world.submit("deaf")
    supervisor = world.supervisor(lease_seconds=2.0)
    pid = running_child(world, job_id)
    (slot,) = supervisor._working
    lease = slot.lease
    lease.stop()  # no beat gets through any more
    renewed = clock()
    while pid in children():
        assert clock() - renewed < 2.0 + 0.2
        time.sleep(0.01)
    assert world.job(job_id).status == "running"  # nothing was written
    assert world.versions() == []


def test_a_stopped_job_publishes_what_there_is(world):
    job_id = world.submit("endless")
    world.supervisor()
    running_child(world, job_id)
    world.database.run(lambda session: jobs.stop(session, job_id))
    job = world.wait(job_id, "succeeded")
    assert (job.attempt, job.stop_reason) == (1, "stopped")
    assert len(world.versions()) == 1


def test_draining_gives_the_job_back_and_another_worker_ends_it(everywhere):
    world = everywhere
    job_id = world.submit("first:slow")
    first = world.supervisor()
    running_child(world, job_id)
    began = time.monotonic()
    first.drain()
    assert time.monotonic() - began < 5.0
    job = world.job(job_id)
    assert (job.status, job.crash_count, job.interruption_count) == ("queued", 0, 1)
    assert "shut down" in job.status_reason
    assert children() == []
    world.supervisor()
    assert world.wait(job_id, "succeeded").attempt == 2


def test_what_a_drained_attempt_saved_is_where_the_next_one_goes_on(everywhere):
    world = everywhere
    job_id = world.submit("first:saves")
    first = world.supervisor()
    running_child(world, job_id)
    first.drain()
    saved = [data["step"] for _, data in world.history(job_id, "checkpoint")]
    assert saved[0] == 1
    assert len(saved) == 2
    assert f"checkpoints/{job_id}/1/{saved[-1]}/manifest.json" in world.stored("checkpoints")
    second = world.supervisor()
    assert world.wait(job_id, "succeeded").attempt == 2
    assert world.history(job_id, "resumed") == [("resumed", {"step": saved[-1]})]
    second.drain()
    assert world.stored("checkpoints") == []


def test_a_drain_waits_longer_than_a_cancel_for_what_is_saved(world):
    job_id = world.submit("first:saves-slowly")
    supervisor = world.supervisor(cancel_grace_seconds=0.2, drain_grace_seconds=15.0)
    running_child(world, job_id)
    supervisor.drain()
    assert len(world.history(job_id, "checkpoint")) == 2
    assert world.job(job_id).status == "queued"


def test_a_database_that_does_not_answer_does_not_hold_up_the_end(world, monkeypatch):
    monkeypatch.setattr(supervisor_module, "DRAIN_MARGIN_SECONDS", 0.5)
    monkeypatch.setattr(supervisor_module, "FAREWELL_SECONDS", 0.2)
    supervisor, answer = world.supervisor(), threading.Event()
    monkeypatch.setattr(world.database, "run", lambda _work: answer.wait(20.0))
    began = time.monotonic()
    supervisor.drain()
    taken = time.monotonic() - began
    answer.set()
    assert taken < 8.0


def test_the_defaults_leave_time_for_what_is_promised():
    settings = Settings(_env_file=None)
    cancel = settings.heartbeat_seconds + lease_module.FLUSH_SECONDS + settings.cancel_grace_seconds
    assert cancel + 2 * attempt.TICK_SECONDS < 15.0
    drain = settings.drain_grace_seconds + supervisor_module.DRAIN_MARGIN_SECONDS + supervisor_module.FAREWELL_SECONDS
    assert drain + 2 * STOP_SECONDS + 2 * enqueue.CLOSE_SECONDS <= 30.0


def test_a_crash_costs_what_was_not_saved(world):
    job_id = world.submit("first:saves")
    world.supervisor()
    child = running_child(world, job_id)
    world.wait_until(job_id, lambda job: world.history(job_id, "checkpoint"))
    os.kill(child, signal.SIGKILL)
    assert world.wait(job_id, "succeeded").crash_count == 1
    assert world.history(job_id, "resumed") == [("resumed", {"step": 1})]


def test_a_cancelled_attempt_saves_nothing_more_and_leaves_nothing(world):
    job_id = world.submit("saves")
    supervisor = world.supervisor()
    running_child(world, job_id)
    world.database.run(lambda session: jobs.cancel(session, job_id))
    world.wait(job_id, "cancelled")
    supervisor.drain()
    assert [data["step"] for _, data in world.history(job_id, "checkpoint")] == [1]
    assert world.stored("checkpoints") == []


def test_draining_ends_a_child_that_will_not_listen(world):
    job_id = world.submit("deaf")
    supervisor = world.supervisor()
    running_child(world, job_id)
    supervisor.drain()
    job = world.job(job_id)
    assert (job.status, job.crash_count, job.interruption_count) == ("queued", 0, 1)
    assert children() == []


def test_a_ring_starts_a_job_at_once_and_false_ones_do_nothing(world):
    supervisor = world.supervisor(poll_seconds=60.0)
    time.sleep(0.3)  # the slot has looked once, found nothing and sleeps
    for _ in range(100):
        supervisor.ring()
    job_id = world.submit()
    supervisor.ring()
    world.wait(job_id, "succeeded", seconds=20.0)
    assert supervisor.claimed_by_poll == 0


def test_jobs_found_without_a_ring_are_counted(world):
    supervisor = world.supervisor()
    time.sleep(0.3)
    world.wait(world.submit(), "succeeded")
    assert supervisor.claimed_by_poll == 1


def test_a_worker_is_seen_while_it_lives(world):
    supervisor = world.supervisor()
    deadline = time.monotonic() + 5.0
    while not (alive := world.database.run(lambda session: workers.alive(session, 60.0))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [(row.id, row.device, row.pid) for row in alive] == [(supervisor.id, "toy machine", os.getpid())]
    assert (world.settings.data_dir / "worker.alive").exists()
    supervisor.drain()
    assert world.database.run(lambda session: workers.alive(session, 60.0)) == []


def test_a_warm_spare_is_taken_and_replaced(world, tmp_path):
    supervisor = world.supervisor(warm_spare=True)
    deadline = time.monotonic() + 5.0
    while not children():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (spare,) = children()
    report = tmp_path / "report.json"
    world.wait(world.submit(report=str(report)), "succeeded")
    assert f'"pid": {spare}' in report.read_text()
    time.sleep(0.2)
    assert len(children()) == 1
    assert spare not in children()
    supervisor.drain()
    assert children() == []


def test_a_spare_that_died_is_no_loss(world):
    supervisor = world.supervisor(warm_spare=True, poll_seconds=60.0)
    time.sleep(0.3)
    (spare,) = children()
    os.kill(spare, signal.SIGKILL)
    job_id = world.submit()
    supervisor.ring()
    assert world.wait(job_id, "succeeded").crash_count == 0


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_dataset_fails_the_job_at_once(world, damage):
    place = world.settings.data_dir / "artifacts" / world.dataset.artifact_key
    if damage == "missing":
        place.unlink()
    else:
        place.chmod(0o600)
        place.write_text(place.read_text().replace("text 3", "text 4"))
    job_id = world.submit()
    world.supervisor()
    job = world.wait(job_id, "failed")
    assert (job.error["code"], job.error["phase"], job.attempt) == ("damaged-dataset", "preparing", 1)


def test_a_missing_base_model_folder_fails_the_job_at_once(world):
    job_id = world.submit(base_model=BaseModelRef(id="house-bert", source="folder"))
    world.supervisor()
    job = world.wait(job_id, "failed")
    assert (job.error["code"], job.attempt) == ("base-model-folder-missing", 1)
    assert "TUNESMITH_BASE_MODELS" in job.error["remedy"]


def test_an_artifact_store_that_is_away_costs_no_crash(world):
    artifacts = world.settings.data_dir / "artifacts"
    hidden = artifacts.with_name("hidden")
    artifacts.rename(hidden)
    artifacts.write_text("a file where a folder should be")
    job_id = world.submit()
    supervisor = world.supervisor()
    job = world.wait_until(job_id, lambda job: job.interruption_count > 0 or job.status == "failed")
    if job.status == "failed":
        pytest.fail(str(job.error))
    assert job.crash_count == 0
    artifacts.unlink()
    hidden.rename(artifacts)
    assert world.wait(job_id, "succeeded").crash_count == 0
    assert supervisor.slots == 1


def test_a_job_whose_data_cannot_be_read_holds_up_no_other(world, tmp_path):
    rows = world.settings.data_dir / "upload.jsonl"
    away = world.store_dataset(rows, ["negative", "positive"])
    fetch = world.artifacts.fetch

    def fetch_or_fail(key, destination):
        if key == away.artifact_key:
            raise Unavailable("This file cannot be read.", "artifacts-unavailable")
        fetch(key, destination)

    world.artifacts.fetch = fetch_or_fail
    stuck, other = world.submit(dataset=away), world.submit()
    world.supervisor()
    world.wait(other, "succeeded")
    assert world.job(stuck).interruption_count > 0


def test_a_database_that_blinks_when_training_ends_costs_nothing(world, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    world.database.close()
    world.database = Database(world.settings.resolved_database_url)
    publish = Slot._publish

    def publish_while_locked(self, *arguments):
        intruder = sqlite3.connect(
            world.settings.data_dir / "tunesmith.db", isolation_level=None, check_same_thread=False, timeout=5.0
        )
        intruder.execute("BEGIN EXCLUSIVE")
        unlock = threading.Timer(0.8, intruder.close)
        unlock.start()
        publish(self, *arguments)

    monkeypatch.setattr(Slot, "_publish", publish_while_locked)
    job_id = world.submit()
    world.supervisor()
    deadline, found = time.monotonic() + 20.0, []
    while not found:
        assert time.monotonic() < deadline
        with suppress(Unavailable):  # reading is refused, too
            found = world.versions()
    job = world.job(job_id)
    assert (job.status, job.attempt, job.interruption_count, job.stop_reason) == ("succeeded", 1, 0, "completed")


def test_an_end_that_the_database_refuses_frees_the_slot(world, monkeypatch):
    prepare = Slot._prepare

    def say_what_cannot_be_stored(self, lease, process):
        if lease.claim.attempt == 1:
            lease.recorder.say("\ud800")
        return prepare(self, lease, process)

    monkeypatch.setattr(Slot, "_prepare", say_what_cannot_be_stored)
    job_id = world.submit()
    world.supervisor()
    job = world.wait(job_id, "succeeded")
    assert (job.attempt, job.crash_count) == (2, 1)
    assert "refused" in world.history(job_id, "status")[2][1]["reason"]


def test_a_slot_outlives_a_fault_of_its_own(world, monkeypatch):
    work, faults = Slot.work, []

    def work_or_break(self, *arguments):
        if not faults:
            faults.append(1)
            raise RuntimeError("a fault of this program")
        return work(self, *arguments)

    monkeypatch.setattr(Slot, "work", work_or_break)
    world.submit()
    other = world.submit()
    world.supervisor()
    assert world.wait(other, "succeeded").attempt == 1


def test_a_cancel_that_comes_first_keeps_the_version_from_existing(everywhere):
    world = everywhere
    job_id = world.submit()
    cancelled = threading.Event()
    put = world.artifacts.put

    def put_and_cancel(key, source):
        put(key, source)
        if key.endswith("manifest.json"):
            world.database.run(lambda session: jobs.cancel(session, job_id))
            cancelled.set()

    world.artifacts.put = put_and_cancel
    world.supervisor()
    assert world.wait(job_id, "cancelled").crash_count == 0
    assert cancelled.is_set()
    assert world.versions() == []
    assert world.stored() == []


def test_the_worker_never_loads_the_training_stack(world):
    import subprocess
    import sys

    code = "import sys, worker.__main__; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
