"""The processes that help a training process, as that one sees them: started ahead, given work, watched, sent away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.errors import JobFailure
from worker.events import Message
from worker.failures import crashed, killed_for_memory
from worker.orders import Assignment, Order

TICK_SECONDS = 0.2
GRACE_SECONDS = 5.0
"""For what waits for a dead process to notice it by itself: on a GPU it may wait for ever."""
FAREWELL_SECONDS = 10.0


class Helpers:
    """Helpers of one attempt, for as long as it is entered; none of them outlives it.

    They are in the process group of the attempt, and the kernel kills them when the thread that started them ends.
    """

    def __init__(self, count: int, *, devices: str | None, lost: Callable[[JobFailure], None]) -> None:
        """Start ``count``; ``devices`` are the GPUs of the job, the leader's first.

        ``lost`` is called, in a thread, when one has died and this process has not noticed by itself.
        """
        self._tell = lost
        self._leaving = threading.Event()
        self._started = [_start(rank, devices) for rank in range(1, count + 1)]
        self._processes = self._started
        """Those that have something to do."""
        threading.Thread(target=self._watch, name="helpers", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them; when one was lost, that is why whatever went wrong did."""
        failure = self._found_lost() if isinstance(error, OSError | RuntimeError) else None
        self.dismiss()
        if failure is not None:
            raise failure from error

    @property
    def pids(self) -> list[int]:
        """Name the processes."""
        return [process.pid for process in self._processes]

    def assign(self, assignments: Sequence[Assignment]) -> None:
        """Give the first ones their work, and send away the others."""
        idle, self._processes = self._processes[len(assignments) :], self._processes[: len(assignments)]
        for process in idle:
            _close(process)
        for process, assignment in zip(self._processes, assignments, strict=True):
            _write(process, assignment)

    def order(self, order: Order) -> None:
        """Tell all of them. Raises BrokenPipeError when one is gone."""
        for process in self._processes:
            _write(process, order)

    def dismiss(self) -> None:
        """End them, since there is nothing more to do, and wait for it: their devices are wanted elsewhere."""
        self._leaving.set()
        for process in self._started:
            process.kill()
            _close(process)
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(FAREWELL_SECONDS)
        self._started = self._processes = []

    def _watch(self) -> None:
        """Look after them from outside of the main thread, which may wait for one that is no more."""
        while not self._leaving.wait(TICK_SECONDS):
            failure = self._lost()
            if failure is not None and not self._leaving.wait(GRACE_SECONDS):
                self._tell(failure)
                return

    def _found_lost(self) -> JobFailure | None:
        """Say who was lost; a connection breaks a moment before its process has ended."""
        deadline = time.monotonic() + GRACE_SECONDS / 2
        while (failure := self._lost()) is None and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS / 4)
        return failure

    def _lost(self) -> JobFailure | None:
        for number, process in enumerate(self._processes, start=1):
            code = process.poll()
            if code is not None:
                return _failure(number, code)
        return None


def _failure(number: int, code: int) -> JobFailure:
    if code == -signal.SIGKILL:
        return killed_for_memory(certain=False)
    return crashed(f"The training process of device {number} ended with exit code {code}.")


def _start(rank: int, devices: str | None) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ)
    if devices is not None:  # each has its own first; the others are seen, so that they can exchange gradients directly
        names = devices.split(",")
        environment["CUDA_VISIBLE_DEVICES"] = ",".join([*names[rank:], *names[:rank]])
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-m", "worker.helper", "--parent", str(os.getpid())],
        stdin=subprocess.PIPE,
        env=environment,
    )


def _write(process: "subprocess.Popen[bytes]", message: Message) -> None:
    if process.stdin is None:
        raise ValueError("started without stdin")
    process.stdin.write(message.model_dump_json().encode() + b"\n")
    process.stdin.flush()


def _close(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(OSError):  # it is gone
            process.stdin.close()
