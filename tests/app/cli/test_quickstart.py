"""The quick start against a service that is somewhere else: its address, its key, and what it prints to be copied."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.cli.program import program
from app.cli.quickstart import MODEL, curl_commands
from app.client import Tunesmith
from app.settings import Settings
from tests.app.cli.conftest import Run
from tests.app.live_service import LiveService, live_service
from tests.databases import migrated_sqlite

KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service that wants a key and has a version of the quick start's model."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = Settings(_env_file=None, data_dir=folder, api_key=KEY, log_level="ERROR")  # type: ignore[arg-type]
    migrated_sqlite(settings.data_dir / "tunesmith.db")
    rows = folder / "rows.csv"
    rows.write_text("text,label\n" + "".join(f"message {number},{'ab'[number % 2]}\n" for number in range(40)))
    with live_service(settings) as service:
        with Tunesmith(service.url, KEY) as client:
            job = client.train(MODEL, client.upload_dataset(rows), base_model="minilm-l6")
        service.publish(job.id, MODEL)
        yield service


def test_it_asks_a_service_elsewhere_and_says_how_to_do_the_same(guarded: LiveService, run: Run) -> None:
    ran = run("--url", guarded.url, "--api-key", KEY, "quickstart")
    assert ran.status == 0, ran.err
    assert f"{MODEL} version 1 is here already" in ran.out
    assert f"{guarded.url}/predict" in ran.out
    assert "export TUNESMITH_API_KEY" in ran.out
    assert KEY not in ran.out


def test_a_file_of_settings_names_the_service_and_its_key(
    guarded: LiveService, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNESMITH_URL")
    Path(".env").write_text(f"TUNESMITH_URL={guarded.url}\nTUNESMITH_API_KEY={KEY}\n")
    assert MODEL in run("models").out
    assert run("--url", guarded.url, "models").status == 4, "the key of the file is for the file's service"


def test_a_wrong_key_ends_it_with_what_to_set(guarded: LiveService, run: Run) -> None:
    for key in ([], ["--api-key", "another-key-entirely"]):
        ran = run("--url", guarded.url, *key, "quickstart")
        assert ran.status == 4
        assert "TUNESMITH_API_KEY" in ran.err


@pytest.mark.parametrize("with_key", [False, True])
def test_what_it_prints_can_be_pasted(with_key: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    commands = curl_commands("http://127.0.0.1:8000", f"ds_{'0' * 32}", f"job_{'0' * 32}", with_key=with_key)
    assert max(len(line) for command in commands for line in command.splitlines()) <= 78
    words = [shlex.split(command) for command in commands]
    assert {line[0] for line in words} == {"curl"}
    assert all(("Authorization: Bearer $TUNESMITH_API_KEY" in line) is with_key for line in words)
    urls = [next(word for word in line if word.startswith("http")) for line in words]
    assert [urlsplit(url).path for url in urls] == ["/datasets", "/jobs", f"/jobs/job_{'0' * 32}/events", "/predict"]
    assert Path(words[0][-1].removeprefix("file=@")).is_file()
    assert [json.loads(line[-1])["model"] for line in (words[1], words[3])] == [MODEL, MODEL]


def test_commands_to_be_copied_name_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert program() == ".venv/bin/python -m app"
    monkeypatch.chdir("/")
    assert program() in {f"{python} -m app", f"{python.relative_to('/')} -m app"}
    python.parent.mkdir(parents=True)
    python.touch(0o755)
    monkeypatch.setenv("PATH", str(python.parent))
    assert program() == "python -m app"
