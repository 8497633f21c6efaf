"""The API by example: its commands run, and the answers it shows are of the form that the service gives."""

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client import Tunesmith
from app.settings import Settings
from tests.app.live_service import LiveService, live_service
from tests.databases import migrated_sqlite
from tests.house.markdown import ROOT, Block, Page

PAGE = Page(ROOT / "docs" / "guide" / "api.md")
CURL = Path(__file__).with_name("mini_curl.py")
BREAK = "=== the next block ==="
FREE = {"scores", "files", "libraries"}
"""Objects whose keys are data."""
EXACT = {"code", "rule", "pointer", "category"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("guide")
    settings = Settings(_env_file=None, data_dir=folder, hub_enabled=False, log_level="ERROR")
    migrated_sqlite(settings.data_dir / "tunesmith.db")
    with live_service(settings) as service:
        yield service


@pytest.fixture(scope="module")
def told(service: LiveService, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block of commands prints, while a worker is played that finishes the first job."""

    def work() -> None:
        with Tunesmith(service.url) as client:
            while not (found := next(client.jobs(status="queued"), None)):
                time.sleep(0.05)
        service.publish(found.id, found.model)

    folder = tmp_path_factory.mktemp("work")
    (folder / "examples").symlink_to(ROOT / "examples")
    curl = f'curl() {{ {shlex.quote(sys.executable)} -I {shlex.quote(str(CURL))} "$@"; }}\n'
    script = curl + f"\necho; echo '{BREAK}'\n".join(block.text for block in commands())
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    done = subprocess.run(
        ["bash", "-u", "-c", script.replace("http://127.0.0.1:8000", service.url)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split(f"\n{BREAK}\n")


def commands() -> list[Block]:
    """Give the blocks that a reader runs."""
    return [block for block in PAGE.blocks if block.language == "bash"]


def answers() -> list[Any]:
    """Give the answers that are shown, each with the number of the block of commands before it."""
    found, number = [], -1
    for block in PAGE.blocks:
        number += block.language == "bash"
        if block.language in {"json", "http"}:
            found.append(pytest.param(number, block, id=f"{number}-{block.language}"))
    return found


@pytest.mark.parametrize(("number", "shown"), answers())
def test_an_answer_is_of_the_form_that_is_shown(told: list[str], number: int, shown: Block) -> None:
    if shown.language == "http":
        head = told[number].partition("\n\n")[0].splitlines()
        status, *headers = shown.text.strip().splitlines()
        assert head[0] == status
        for header in headers:
            name, _, value = header.partition(": ")
            assert any(line.lower().startswith(f"{name.lower()}: {value.lower()}") for line in head[1:]), header
    else:
        assert mismatch(json.loads(shown.text), json.loads(told[number])) is None


def test_every_command_is_shown_to_do_something(told: list[str]) -> None:
    assert len(told) == len(commands())
    silent = [block.text for block, output in zip(commands()[1:], told[1:], strict=True) if not output.strip()]
    assert silent == []


def test_the_stream_that_is_shown_has_events_that_come(told: list[str]) -> None:
    stream = next(output for output in told if output.startswith("retry:"))
    assert stream.startswith("retry: 2000\n\nid: 1\nevent: status\ndata: {")
    assert '"to":"succeeded"' in stream


def mismatch(shown: Any, given: Any, at: str = "") -> str | None:
    """Say where an answer lacks what is shown, or has it in another type."""
    if given is None or shown is None or given == "auto":  # decided by a training, which does not happen here
        return None
    key = at.rpartition("/")[2]
    if isinstance(shown, dict) and isinstance(given, dict):
        missing = [f"{at}/{name}" for name in shown if name not in given and key not in FREE]
        found = [mismatch(value, given[name], f"{at}/{name}") for name, value in shown.items() if name in given]
        return next((place for place in [*missing, *found] if place), None)
    if isinstance(shown, list) and isinstance(given, list):
        found = [mismatch(value, given[0], at) for value in shown if given]
        return next((place for place in found if place), None)
    if key in EXACT and shown != given:
        return f"{at}: {given!r}"
    numbers = isinstance(shown, float | int) and isinstance(given, float | int)
    return None if numbers or type(shown) is type(given) else f"{at}: {given!r}"
