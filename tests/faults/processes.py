"""The service's own processes, forked from one that has imported everything: a worker starts in milliseconds."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from app import server
from app.logging import configure
from app.settings import Settings
from tests.faults import commit_points, failpoints
from worker.__main__ import Worker

PIPELINE = "tests.faults.pipeline:run"
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
Role = Literal["worker", "api"]

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.faults.preloaded"])


def main(role: Role, environment: Mapping[str, str], log: Path, queues: Sequence[str]) -> None:
    """Become one process of the service, with its settings and its failpoint in ``environment``."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    ctypes.CDLL(None).prctl(PR_SET_NAME, f"faults-{role}".encode(), 0, 0, 0)  # else all of them look alike in top
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(environment)
    commit_points.arm(environment.get(failpoints.VARIABLE, ""))
    settings = Settings(_env_file=None)
    if role == "api":
        server.serve(settings)
    else:
        configure(settings)
        Worker(settings, queues, pipeline=PIPELINE).run()
    sys.stdout.flush()


class Member:
    """One running process of a field."""

    def __init__(self, role: Role, environment: Mapping[str, str], log: Path, queues: Sequence[str]) -> None:
        self.log = log
        self._process: ForkServerProcess = context.Process(target=main, args=(role, dict(environment), log, queues))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait(10.0)

    def stop(self, seconds: float = 30.0) -> int:
        """Ask it to end and give its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Wait for its end; gives the exit status, negative for a signal."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"process {self.pid} did not end in {seconds} s:\n{self.tail()}"
        return code

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def children(self) -> list[int]:
        """List its training processes."""
        return [pid for pid, parent, line in processes() if parent == self.pid and b"worker.child" in line]

    def freeze(self) -> None:
        """Stop it and its children in the middle of whatever they do."""
        self.signal(signal.SIGSTOP)
        for child in self.children():
            os.kill(child, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it and its children go on."""
        for child in self.children():
            os.kill(child, signal.SIGCONT)
        self.signal(signal.SIGCONT)

    def tail(self) -> str:
        """Give the end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


def processes() -> list[tuple[int, int, bytes]]:
    """List the processes of this machine: id, parent, command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found.append((int(folder.name), int(parent), (folder / "cmdline").read_bytes()))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def gone(pid: int) -> bool:
    """Say whether a process has ended; a zombie has."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
