"""Each example, from its request to its last line, with a test in the part of the worker; ``make examples`` trains."""

import runpy
import sys
import threading
from pathlib import Path

import pytest

from app.client import Tunesmith
from app.schemas.profiles import PROFILES
from app.settings import Settings
from tests.app.live_service import LiveService, live_service

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def test_every_profile_has_its_example() -> None:
    for profile in PROFILES:
        assert any(f'profile="{profile}"' in example.read_text() for example in EXAMPLES), profile


def work(service: LiveService, ended: threading.Event) -> None:
    """Publish a version for every job, until it is over."""
    with Tunesmith(service.url) as client:
        while not ended.wait(0.05):
            for job in list(client.jobs(status="queued")):
                service.publish(job.id, job.model)


def test_every_example_runs_to_its_end(
    data_dir: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, log_level="ERROR")
    monkeypatch.delenv("TUNESMITH_API_KEY", raising=False)
    with live_service(settings) as service:
        monkeypatch.setenv("TUNESMITH_URL", service.url)
        ended = threading.Event()
        worker = threading.Thread(target=work, args=(service, ended))
        worker.start()
        try:
            for example in EXAMPLES:
                monkeypatch.setattr(sys, "argv", [str(example)])
                runpy.run_path(str(example), run_name="__main__")
                assert capsys.readouterr().out.strip(), example.name
        finally:
            ended.set()
            worker.join()
