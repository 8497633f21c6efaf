"""A whole service under test: real processes, started by the commands that users type."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 40.0


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Command:
    """One ``python -m ...`` of ours, with its output in a file."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.arguments = list(arguments)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
                | dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or a service manager would, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"{self.arguments} did not end within {STOP_SECONDS} s:\n{self.tail()}") from None

    def tail(self) -> str:
        """Give the end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:]


def wait_until_ready(url: str, commands: Sequence[Command]) -> None:
    """Wait for ``/readyz``; a command that ends first fails the test with its output."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for command in commands:
            if command.process.poll() is not None:
                raise AssertionError(f"{command.arguments} ended early:\n{command.tail()}")
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready in time:\n" + "\n".join(command.tail() for command in commands))
