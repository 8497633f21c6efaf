"""The worker as a process: started, starved of its broker, drained, killed, and unable to start."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import can_write, is_alive, until

TOY_WORKER = Path(__file__).parent / "toy" / "toy_worker.py"
NO_BROKER = "redis://127.0.0.1:9/0"


@pytest.fixture
def start(world, tiny_model, tmp_path):
    """Start a worker process on the world's data; every one is killed at the end."""
    started = []

    def start(broker=NO_BROKER, poll=0.2):
        path = os.pathsep.join([str(Path.cwd()), str(TOY_WORKER.parent)])
        log = (tmp_path / f"worker-{len(started)}.log").open("wb")
        started.append(
            subprocess.Popen(
                [sys.executable, str(TOY_WORKER), str(world.settings.data_dir), str(tiny_model), broker, str(poll)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
            )
        )
        started[-1].log = tmp_path / log.name
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def child_of(pid):
    """Find the training process of a worker process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"worker.child" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
    raise AssertionError("no training process")


def at_work(world, job_id, attempt=1):
    world.wait_until(job_id, lambda job: job.attempt == attempt and job.progress.get("step", 0) > 0)


def test_jobs_run_although_no_broker_was_ever_there(world, start):
    job_id = world.submit()
    start()
    assert world.wait(job_id, "succeeded").attempt == 1


def test_sigterm_gives_the_job_back_and_ends_in_order(world, start):
    job_id = world.submit("first:slow")
    worker = start()
    at_work(world, job_id)
    child = child_of(worker.pid)
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGTERM)  # a second one changes nothing
    assert worker.wait(10.0) == 0
    assert not is_alive(child)
    job = world.job(job_id)
    assert (job.status, job.crash_count, job.interruption_count) == ("queued", 0, 1)
    assert list((world.settings.data_dir / "work").iterdir()) == []
    start()
    assert world.wait(job_id, "succeeded").attempt == 2


def test_after_kill_9_the_child_dies_and_another_worker_ends_the_job(world, start):
    job_id = world.submit("first:deaf")
    worker = start()
    at_work(world, job_id)
    child = child_of(worker.pid)
    worker.kill()
    worker.wait()
    until(lambda: not is_alive(child))
    start()
    job = world.wait(job_id, "succeeded")
    assert (job.attempt, job.crash_count) == (2, 1)
    assert len(world.versions()) == 1


def test_a_frozen_worker_finds_its_lease_gone_and_writes_nothing(world, start):
    job_id = world.submit("first:deaf")
    zombie = start()
    at_work(world, job_id)
    child = child_of(zombie.pid)
    os.kill(child, signal.SIGSTOP)
    zombie.send_signal(signal.SIGSTOP)
    while not can_write(world.settings.resolved_database_url):  # frozen with SQLite's lock, it would hold up everybody
        zombie.send_signal(signal.SIGCONT)
        time.sleep(0.02)
        zombie.send_signal(signal.SIGSTOP)
    start()
    job = world.wait(job_id, "succeeded", seconds=40.0)
    events = world.history(job_id)
    zombie.send_signal(signal.SIGCONT)
    with suppress(ProcessLookupError):  # the worker may have found its lease gone, and killed it, by now
        os.kill(child, signal.SIGCONT)
    until(lambda: not is_alive(child))
    time.sleep(0.5)
    assert world.history(job_id) == events
    assert (job.attempt, job.crash_count) == (2, 1)
    assert [version.attempt for version in world.versions()] == [2]


def test_a_database_that_is_not_migrated_is_named_with_its_remedy(tmp_path, tiny_model):
    code = (
        "import sys, worker.__main__ as m; from pathlib import Path; m.MIGRATION_PATIENCE_SECONDS = 0.5;"
        "sys.exit(m.main([]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "TUNESMITH_DATA_DIR": str(tmp_path / "fresh"), "TUNESMITH_BROKER_URL": NO_BROKER},
        timeout=60,
    )
    assert answer.returncode == 1
    assert "python -m app migrate" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_first_line_names_device_and_queues(world, start):
    worker = start()
    world.wait(world.submit(), "succeeded")
    ready = next(line for line in worker.log.read_text().splitlines() if "worker_ready" in line)
    assert "cpu" in ready or "NVIDIA" in ready
    assert "default" in ready
