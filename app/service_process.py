"""One process of the service, kept alive: started, watched, started again after ever longer pauses, ended in order."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.guard import guarded

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
SETTLED_SECONDS = 10.0
"""A process that lived this long had started well: its next end is a new story."""
MOST_FAILED_STARTS = 5
MOST_LOG_BYTES = 5_000_000


class ServiceProcess:
    """A command in a session of its own, so that Ctrl-C reaches only the supervisor; its output goes to ``log``."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path | None) -> None:
        self.name = name
        self.log = log
        self.failed_starts = 0
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._next_start = 0.0

    @property
    def pid(self) -> int | None:
        """Give the process id, None when it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start the command; from the main thread, because its life hangs on the thread that starts it."""
        output = None if self.log is None else _open_log(self.log)
        try:
            self._process = subprocess.Popen(  # noqa: S603  # a fixed list of arguments, and no shell
                guarded(self._command),
                stdin=subprocess.PIPE,  # see app.guard
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)
        self._began = time.monotonic()

    def ended(self) -> int | None:
        """Give the exit status of a process that has ended since the last look, and plan its next start."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._forget()
        if time.monotonic() - self._began >= SETTLED_SECONDS:
            self.failed_starts = 0
        self.failed_starts += 1
        self._next_start = time.monotonic() + self.pause
        return status

    @property
    def pause(self) -> float:
        """Give the seconds between an end and the next start."""
        return min(FIRST_PAUSE * 2.0 ** (self.failed_starts - 1), LONGEST_PAUSE)

    @property
    def is_hopeless(self) -> bool:
        """Say whether it has failed to start so often that another try is no use."""
        return self.failed_starts >= MOST_FAILED_STARTS

    def start_if_due(self) -> None:
        """Start again when the pause is over."""
        if self._process is None and time.monotonic() >= self._next_start:
            self.start()

    def ask_to_end(self) -> None:
        """Send SIGTERM; asking again, or asking the dead, is fine."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; False when it still runs."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._forget()
        return True

    def kill(self) -> None:
        """End the process and its group at once."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._forget()

    def last_lines(self, count: int = 5) -> list[str]:
        """Give the end of the log."""
        if self.log is None or not self.log.is_file():
            return []
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 8192))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


def _open_log(path: Path) -> int:
    """Open a log to append to; a large one of earlier runs is put aside first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > MOST_LOG_BYTES:
        path.replace(path.with_suffix(f"{path.suffix}.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
