"""Whole services for the tests of this folder, and the labelled file they are given."""

import csv
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Tunesmith
from scripts.own_service import ROOT, Command, free_port, wait_until_ready

SAMPLE = ROOT / "examples" / "data" / "customer_messages.csv"
QUICK = {"num_train_epochs": 1, "max_length": 16, "batch_size": 16, "logging_steps": 1}
LONG = QUICK | {"num_train_epochs": 1000, "early_stopping_patience": None}
MINILM = "minilm-l6"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for a module's services; its path is short, as the sockets in it need."""
    path = Path(tempfile.mkdtemp(prefix="tunesmith-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def messages(folder: Path) -> Path:
    """A part of the sample data, so small that a job takes seconds."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    file = folder / "messages.csv"
    with file.open("w", newline="", encoding="utf-8") as output:
        writer = csv.DictWriter(output, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(random.Random(7).sample(rows, 96))
    return file


class Machine:
    """``python -m app up`` on a data folder; can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "up.log"
        self._up: Command | None = None

    def start(self) -> None:
        """Start everything and wait until it takes requests."""
        self._up = self.run("app", "up")
        wait_until_ready(self.url, [self._up])

    def stop(self) -> int:
        """Stop everything; gives the exit status."""
        assert self._up is not None
        return self._up.stop()

    def run(self, *arguments: str) -> Command:
        """Run one of our commands against this machine."""
        environment = {
            "TUNESMITH_DATA_DIR": str(self.data_dir),
            "TUNESMITH_PORT": self.url.rpartition(":")[2],
            "TUNESMITH_HEARTBEAT_SECONDS": "0.5",
            "NO_COLOR": "1",
            "COLUMNS": "160",
        }
        return Command(arguments, environment, self._log.with_name(f"{arguments[1]}.log"))


@pytest.fixture(scope="module")
def machine(folder: Path) -> Iterator[Machine]:
    """One machine on the embedded defaults: SQLite, a private Valkey, a local folder."""
    machine = Machine(folder)
    machine.start()
    yield machine
    machine.stop()


@pytest.fixture
def service(machine: Machine) -> Iterator[Tunesmith]:
    """A client of the machine."""
    with Tunesmith(machine.url) as client:
        yield client
