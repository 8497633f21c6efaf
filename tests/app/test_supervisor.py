"""``python -m app up`` as a person runs it: real processes on a port of their own."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.client import Tunesmith
from scripts.own_service import Command, free_port, wait_until_ready
from tests.processes import until

SAMPLE = "text,label\n" + "".join(f"message {number},{'ab'[number % 2]}\n" for number in range(20))


class Machine:
    """One data folder and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "TUNESMITH_DATA_DIR": str(folder / "data"),
            "TUNESMITH_PORT": str(self.port),
            "TUNESMITH_WARM_SPARE": "false",
            "COLUMNS": "200",
        }
        self.command: Command | None = None

    def up(self, *arguments: str, **environment: str) -> Command:
        """Start it and do not wait."""
        log = self.folder / "up.log"
        log.unlink(missing_ok=True)
        self.command = Command(["app", "up", *arguments], self.environment | environment, log)
        return self.command

    def children(self) -> list[psutil.Process]:
        """Find what the supervisor has started."""
        assert self.command is not None
        return psutil.Process(self.command.process.pid).children(recursive=True)

    def api_pid(self) -> int:
        return next(child.pid for child in self.children() if child.cmdline()[-1] == "app.server")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    if machine.command is not None and machine.command.process.poll() is None:
        machine.command.stop()


@pytest.mark.slow
def test_everything_starts_is_kept_alive_and_ends_in_order(machine: Machine, tmp_path: Path) -> None:
    up = machine.up()
    wait_until_ready(machine.url, [up])
    (tmp_path / "a.csv").write_text(SAMPLE)
    with Tunesmith(machine.url) as client:
        dataset = client.upload_dataset(tmp_path / "a.csv")
        until(lambda: httpx.get(f"{machine.url}/readyz").json()["status"] == "ready")
        first = machine.api_pid()
        os.kill(first, signal.SIGKILL)
        until(lambda: "The API ended by signal SIGKILL" in up.tail())
        wait_until_ready(machine.url, [up])
        assert machine.api_pid() != first
        assert client.dataset(dataset.id) == dataset
    children = machine.children()
    assert len(children) >= 3
    assert up.stop() == 0
    assert "Stopped. Jobs and models are kept." in up.tail()
    until(lambda: not any(child.is_running() for child in children))

    again = machine.up()
    wait_until_ready(machine.url, [again])
    with Tunesmith(machine.url) as client:
        assert [found.id for found in client.datasets()] == [dataset.id]
    children = machine.children()
    again.process.kill()
    again.process.wait()
    until(lambda: not any(child.is_running() for child in children), 40)


def test_a_taken_port_is_told_with_another_one(machine: Machine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", machine.port))
        other.listen()
        up = machine.up()
        assert up.process.wait(60) == 5
    assert f"Port {machine.port} on 127.0.0.1 cannot be used" in up.tail()
    assert f"TUNESMITH_PORT={machine.port + 1}" in up.tail()
    assert not (machine.folder / "data").exists()


def test_strangers_are_not_let_in_without_a_key(machine: Machine) -> None:
    up = machine.up("--host", "0.0.0.0")
    assert up.process.wait(60) == 5
    assert "TUNESMITH_API_KEY" in up.tail()


def test_once_needs_the_quick_start(machine: Machine) -> None:
    assert machine.up("--once").process.wait(60) == 2
