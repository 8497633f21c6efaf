"""A service for one measurement: started by the command that users type, in a folder that goes with it."""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.client import Tunesmith
from app.service_process import ServiceProcess

START_SECONDS = 120.0
STOP_SECONDS = 60.0


@contextmanager
def own_service(settings: Mapping[str, str]) -> Iterator[Tunesmith]:
    """Start ``python -m app up`` with ``settings``, by variable, in a temporary folder; give its client."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as folder:
        port = _free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
        environment |= {"TUNESMITH_DATA_DIR": folder, "TUNESMITH_PORT": str(port), **settings}
        command = [sys.executable, "-m", "app", "up"]
        process = ServiceProcess("service", command, environment, Path(folder) / "logs" / "up.log")
        process.start()
        try:
            with Tunesmith(f"http://127.0.0.1:{port}") as service:
                _wait_until_ready(service, process)
                yield service
        finally:
            process.ask_to_end()
            if not process.wait(STOP_SECONDS):
                process.kill()


def _wait_until_ready(service: Tunesmith, process: ServiceProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not service.ready():
        if process.ended() is not None or time.monotonic() > deadline:
            raise SystemExit("the service does not start:\n" + "\n".join(process.last_lines()))
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
