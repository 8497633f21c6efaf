"""The processes of one attempt: none outlives another, whoever dies first, and a stop reaches all."""

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from app.errors import JobFailure
from app.schemas.hyperparameters import Resolution
from tests.processes import is_alive, until
from tests.worker.toy_task import MakeSpec, toy_rows
from tests.worker.training.small import wishes
from worker.devices import devices_of, threads_of_each
from worker.events import EXIT_BROKEN, EXIT_STOPPED, AttemptSpec, Event, Failed, Stepped, parse_event
from worker.helpers import Helpers
from worker.pipeline import run
from worker.process import Process, Spawner, child_environment

CPU = torch.device("cpu")


def spec_of(make: MakeSpec, wish: int | str, name: str = "job", **changes: object) -> AttemptSpec:
    return make(toy_rows(6), name=name, devices=wish).model_copy(update=changes)


def test_the_number_of_devices_is_decided_with_its_reason(make_spec: MakeSpec) -> None:
    auto = spec_of(make_spec, "auto", devices=4, cuda_device="0,1,2,3")
    assert devices_of(auto, wishes(batch_size=32)) == (
        4,
        [Resolution(field="devices", value=4, reason="the GPUs that this worker has for a job")],
    )
    assert devices_of(auto, wishes(batch_size=8, gradient_accumulation_steps=2))[0] == 2
    [reason] = devices_of(auto, wishes(batch_size=4))[1]
    assert (reason.value, reason.reason) == (1, "each step learns from 4 texts")
    wished = spec_of(make_spec, 4, "wished", devices=4)
    assert devices_of(wished, wishes(batch_size=32)) == (4, [])
    assert devices_of(wished, wishes(batch_size=2))[0] == 2


def test_processes_share_the_cores_and_are_no_more_than_these(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.devices.usable_cpus", lambda: 6)
    spec = spec_of(make_spec, 2, devices=2, threads=0)
    assert threads_of_each(spec, CPU) == 3
    assert threads_of_each(spec.model_copy(update={"threads": 4}), CPU) == 2
    assert threads_of_each(spec.model_copy(update={"devices": 1}), CPU) == 0
    with pytest.raises(JobFailure) as failure:
        run(spec.model_copy(update={"devices": 7}), lambda _: None, lambda: False)
    assert failure.value.detail == "devices is 7, but the worker that took the job has 6 processor cores."
    assert failure.value.errors[0].pointer == "/hyperparameters/devices"


def test_a_leader_that_notices_nothing_is_told_of_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.helpers.GRACE_SECONDS", 0.1)
    told: queue.Queue[JobFailure] = queue.Queue()
    with Helpers(1, devices=None, lost=told.put) as helpers:
        [pid] = helpers.pids
        os.kill(pid, signal.SIGSEGV)
        failure = told.get(timeout=60)
    assert (failure.code, failure.final) == ("training-crashed", False)
    assert failure.detail == "The training process of device 1 ended with exit code -11."


class Attempt:
    """A training process with a helper, and what it said."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self._helpers: list[int] = []

    def hear_until(self, done: Callable[[], bool], seconds: float = 200.0) -> None:
        """Listen until something is so."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.process.log_file.read_text()
            self.events += [parse_event(line) for line in self.process.lines(0.05)]

    def train(self) -> None:
        """Wait for some steps."""
        self.hear_until(lambda: any(isinstance(event, Stepped) and event.step > 3 for event in self.events))

    def quiet_for(self, seconds: float) -> None:
        """Listen until nothing was said for so long."""
        heard = len(self.events)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.events += [parse_event(line) for line in self.process.lines(0.05)]
            if len(self.events) > heard:
                heard, deadline = len(self.events), time.monotonic() + seconds

    @property
    def helper(self) -> int:
        """Give the process id of the helper."""
        pid = self.process.pid
        if not self._helpers:
            self._helpers = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        [found] = self._helpers
        return found

    def end(self) -> int:
        """Wait for the end; give the exit code."""
        self.hear_until(self.process.exited)
        self.events += [parse_event(line) for line in self.process.rest()]
        return self.process.bury()


@pytest.fixture
def attempt(tmp_path: Path, make_spec: MakeSpec) -> Iterator[Attempt]:
    spawner = Spawner()
    folder = tmp_path / "child"
    (folder / "tmp").mkdir(parents=True)
    environment = child_environment({**os.environ, "TUNESMITH_API_KEY": "tsk_secret"}, folder)
    process = spawner.start(["-m", "worker.child"], folder=folder, environment=environment)
    rows = [*toy_rows(60), *toy_rows(12, split="validation")]
    spec = make_spec(rows, num_train_epochs=900, batch_size=4, devices=2, logging_steps=1, early_stopping_patience=None)
    process.feed(spec.model_copy(update={"devices": 2, "threads": 2}))
    yield Attempt(process)
    process.bury()
    spawner.close()


@pytest.mark.slow
def test_a_helper_that_dies_takes_the_attempt_along_and_says_so(attempt: Attempt) -> None:
    attempt.train()
    environment = Path(f"/proc/{attempt.helper}/environ").read_bytes()
    assert b"tsk_secret" not in environment
    os.kill(attempt.helper, signal.SIGKILL)
    began = time.monotonic()
    assert attempt.end() == EXIT_BROKEN
    assert time.monotonic() - began < 30
    [failed] = [event for event in attempt.events if isinstance(event, Failed)]
    assert (failed.error["code"], failed.error["phase"]) == ("worker-killed", "training")


@pytest.mark.slow
def test_nobody_outlives_the_leader(attempt: Attempt) -> None:
    attempt.train()
    helper = attempt.helper
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):  # for the leader alone
        os.kill(helper, number)
    steps = len(attempt.events)
    attempt.hear_until(lambda: len(attempt.events) > steps + 3)
    os.kill(attempt.process.pid, signal.SIGKILL)
    until(lambda: not is_alive(helper), seconds=30)


@pytest.mark.slow
def test_a_helper_that_hangs_silences_the_leader_and_neither_outlives_the_watchdog(attempt: Attempt) -> None:
    """What the worker then takes for a stall: it hears nothing, and ends the whole group."""
    attempt.train()
    helper = attempt.helper
    os.kill(helper, signal.SIGSTOP)
    attempt.quiet_for(3.0)
    attempt.process.terminate()  # nor does a cancel reach a leader that waits for it; its grace ends in the same kill
    attempt.quiet_for(1.0)
    assert not attempt.process.exited()
    attempt.process.kill()
    assert attempt.end() == -signal.SIGKILL
    until(lambda: not is_alive(helper), seconds=30)


@pytest.mark.slow
def test_a_stop_ends_all(attempt: Attempt) -> None:
    attempt.train()
    helper = attempt.helper
    attempt.process.terminate()
    assert attempt.end() == EXIT_STOPPED
    assert not is_alive(helper)
    assert not [event for event in attempt.events if isinstance(event, Failed)]
