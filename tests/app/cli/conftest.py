"""The command line as a person uses it: in this process, against an API on a real port."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.main import main
from app.client import Tunesmith
from app.schemas.datasets import Dataset
from app.settings import Settings
from tests.app.live_service import LiveService, live_service
from tests.databases import migrated_sqlite


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """One API for all tests of commands."""
    folder = tmp_path_factory.mktemp("cli")
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        log_level="ERROR",
        hub_endpoint="http://127.0.0.1:9",
    )
    migrated_sqlite(settings.data_dir / "tunesmith.db")
    with live_service(settings) as service:
        yield service


@pytest.fixture(scope="package")
def client(service: LiveService) -> Iterator[Tunesmith]:
    """A client of that API."""
    with Tunesmith(service.url) as client:
        yield client


@pytest.fixture(scope="package")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of texts."""
    path = tmp_path_factory.mktemp("files") / "mood.csv"
    path.write_text("text,label\n" + "".join(f"message {number},{'ab'[number % 2]}\n" for number in range(40)))
    return path


@pytest.fixture(scope="package")
def dataset(client: Tunesmith, file: Path) -> Dataset:
    """That file, uploaded."""
    return client.upload_dataset(file)


@pytest.fixture
def run(
    service: LiveService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """How to run a command."""
    monkeypatch.setenv("TUNESMITH_URL", service.url)
    monkeypatch.delenv("TUNESMITH_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)  # away from anybody's .env

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        status = ended.value.code
        return Ran(status if isinstance(status, int) else 0, printed.out, printed.err)

    return run
