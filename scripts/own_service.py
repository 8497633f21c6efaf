"""Services that live as long as the program that wants them: started by the commands that users type."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.client import Tunesmith
from app.guard import guarded

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0
STOP_SECONDS = 60.0


class Command:
    """One ``python -m ...`` of ours with no settings but those given, its output in a file; ends when we end."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.arguments = list(arguments)
        outside = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                guarded([sys.executable, "-m", *arguments]),
                cwd=ROOT,
                env=outside | dict(environment),
                stdin=subprocess.PIPE,  # see app.guard
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or a service manager would, and give its exit status; raises RuntimeError."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise RuntimeError(f"{self.arguments} did not end within {STOP_SECONDS} s:\n{self.tail()}") from None
        finally:
            if self.process.stdin is not None:
                self.process.stdin.close()

    def tail(self) -> str:
        """Give the end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def own_service(settings: Mapping[str, str]) -> Iterator[Tunesmith]:
    """Start ``python -m app up`` with ``settings``, by variable, in a temporary folder; give its client."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-own-") as folder:
        port = free_port()
        environment = {"TUNESMITH_DATA_DIR": f"{folder}/data", "TUNESMITH_PORT": str(port), **settings}
        command = Command(["app", "up"], environment, Path(folder, "up.log"))
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", [command])
            with Tunesmith(f"http://127.0.0.1:{port}") as service:
                yield service
        finally:
            command.stop()


def wait_until_ready(url: str, commands: Sequence[Command]) -> None:
    """Wait until a service takes requests; raises RuntimeError with the output of a command that ends first."""
    deadline = time.monotonic() + START_SECONDS
    with Tunesmith(url) as service:
        while not service.ready():
            for command in commands:
                if command.process.poll() is not None:
                    raise RuntimeError(f"{command.arguments} ended early:\n{command.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError("not ready in time:\n" + "\n".join(command.tail() for command in commands))
            time.sleep(0.1)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
