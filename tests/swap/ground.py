"""What a swap is tried on: a registry with two versions that contradict each other, and real API processes on it.

Unless they are given a broker, the processes agree by what they read from the registry.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.serving.predictor import Predictor
from scripts.own_service import Command, free_port, wait_until_ready
from tests.app.serving.shelf import Shelf
from tests.app.serving.tiny import graph, word_scores, write_bundle
from tests.swap.crowd import Expected

MODEL = "mood"
TEXTS = ["the good film", "the bad film", "film " * 30, ""]
BIASES = {1: (0.0, 9.0), 2: (9.0, 0.0)}
"""Of the two versions: one always says positive, the other negative."""


class Ground:
    """A folder with a database, artifacts, and any number of API processes."""

    def __init__(self, folder: Path, *, ballast: int = 0) -> None:
        self.shelf = Shelf(folder)
        self.races = 0
        self._folder = folder
        self._servers: dict[int, Command] = {}
        for version, bias in BIASES.items():
            assert self.shelf.publish(MODEL, bias, ballast=ballast) == version
        self.expected: Expected = {version: self._answers(version) for version in BIASES}

    def _answers(self, version: int) -> list[tuple[str, float]]:
        folder = self._folder / f"expected-{version}"
        predictor = Predictor.load(write_bundle(folder, graph(word_scores(), BIASES[version])))
        return [(answer.label, answer.score) for answer in predictor.predict(TEXTS)]

    def serve(self, port: int = 0, **settings: Any) -> int:
        """Start an API process and wait until it is ready; gives its port."""
        port = self.start(port, **settings)
        wait_until_ready(f"http://127.0.0.1:{port}", [self._servers[port]])
        return port

    def serve_two(self, **settings: Any) -> list[int]:
        """Start two at once."""
        ports = [self.start(**settings), self.start(**settings)]
        for port in ports:
            wait_until_ready(f"http://127.0.0.1:{port}", [self._servers[port]])
        return ports

    def start(self, port: int = 0, **settings: Any) -> int:
        """Start an API process; gives its port."""
        port = port or free_port()
        environment = {
            "TUNESMITH_DATA_DIR": str(self.shelf.settings.data_dir),
            "TUNESMITH_PORT": str(port),
            "TUNESMITH_LOG_LEVEL": "WARNING",
            "TUNESMITH_SERVE_THREADS": "1",
        } | {f"TUNESMITH_{name.upper()}": str(value) for name, value in settings.items()}
        self._servers[port] = Command(["app", "api"], environment, self._folder / f"api-{port}.log")
        return port

    def kill(self, port: int) -> None:
        """End a process at once, as a machine that fails would."""
        server = self._servers.pop(port)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()

    def move(self, port: int, version: int) -> float:
        """Move the alias by HTTP; gives the moment at which the service had said that it is done."""
        url = f"http://127.0.0.1:{port}/models/{MODEL}/aliases/champion"
        httpx.put(url, json={"version": version}, timeout=30).raise_for_status()
        return time.monotonic()

    def resident_mb(self, port: int) -> float:
        """Read what a process holds."""
        lines = Path(f"/proc/{self._servers[port].process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def close(self) -> None:
        """End everything."""
        for server in self._servers.values():
            server.process.terminate()
        for server in self._servers.values():
            server.stop()
        self.shelf.close()


@contextmanager
def ground(folder: Path, *, ballast: int = 0) -> Iterator[Ground]:
    """Make a ground for a while."""
    made = Ground(folder, ballast=ballast)
    try:
        yield made
    finally:
        made.close()
