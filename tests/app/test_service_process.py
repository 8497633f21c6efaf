"""A process that is kept alive, and that does not outlive us."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import service_process
from app.guard import PIPE, SIGNAL
from app.service_process import ServiceProcess
from tests.processes import is_alive, until

ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], ServiceProcess]]:
    made: list[ServiceProcess] = []

    def make(code: str) -> ServiceProcess:
        made.append(ServiceProcess("thing", python(code), dict(os.environ), tmp_path / "logs" / "thing.log"))
        return made[-1]

    yield make
    for process in made:
        process.kill()


def test_what_it_prints_goes_to_its_log(make: Callable[[str], ServiceProcess]) -> None:
    process = make("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)")
    process.start()
    statuses: list[int | None] = []
    until(lambda: statuses.append(process.ended()) or statuses[-1] is not None)
    assert statuses[-1] == 3
    assert sorted(process.last_lines()) == ["one", "two"]
    assert process.log is not None and process.log.stat().st_mode & 0o777 == 0o600
    assert process.ended() is None, "an end is told once"


def test_it_is_started_again_after_ever_longer_pauses(
    make: Callable[[str], ServiceProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_process, "FIRST_PAUSE", 0.01)
    process = make("raise SystemExit(1)")
    process.start()
    pauses = []
    while not process.is_hopeless:
        until(lambda: process.ended() is not None)
        pauses.append(process.pause)
        until(lambda: process.start_if_due() or process.pid is not None or process.is_hopeless)
    assert pauses == [0.01, 0.02, 0.04, 0.08, 0.16]


def test_a_process_that_ran_well_is_a_new_story(
    make: Callable[[str], ServiceProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_process, "SETTLED_SECONDS", 0.0)
    process = make("")
    for _ in range(3):
        process.start()
        until(lambda: process.ended() is not None)
    assert process.failed_starts == 1


def test_it_is_asked_and_then_made_to_end(make: Callable[[str], ServiceProcess]) -> None:
    stubborn = make("import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)")
    stubborn.start()
    until(stubborn.last_lines)
    pid = stubborn.pid
    assert pid is not None
    stubborn.ask_to_end()
    assert not stubborn.wait(0.2)
    stubborn.kill()
    assert stubborn.wait(0)
    assert not is_alive(pid)


def test_a_large_log_is_put_aside(make: Callable[[str], ServiceProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_process, "MOST_LOG_BYTES", 10)
    process = make("print('a line that is longer')")
    for _ in range(2):
        process.start()
        until(lambda: process.ended() is not None)
    assert process.log is not None
    assert process.log.with_suffix(".log.1").read_text() == process.log.read_text() == "a line that is longer\n"


@pytest.mark.parametrize("way", [PIPE, SIGNAL] if sys.platform == "linux" else [PIPE])
def test_nothing_outlives_a_parent_that_was_killed(way: str) -> None:
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    parent = (
        "import os, subprocess, sys, time\n"
        f"command = [sys.executable, '-m', 'app.guard', str(os.getpid()), {way!r}, sys.executable, '-c', {child!r}]\n"
        "process = subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(python(parent), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
        until(lambda: not is_alive(pid))


def test_beside_a_pipe_signals_and_the_status_are_passed_on() -> None:
    child = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-m", "app.guard", str(os.getpid()), PIPE, *python(child)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 7
