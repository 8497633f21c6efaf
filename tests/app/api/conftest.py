"""The API in this process, on a database of its own, with requests that go through every layer."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.api.datasets import dataset_row
from app.artifacts.bundle import Manifest, TokenizerSettings
from app.artifacts.store import ArtifactStore, put_bundle, store_of
from app.main import create_app
from app.preflight.messages import UPLOAD, Limits, Order
from app.preflight.parse import parse
from app.schemas.datasets import DatasetOptions
from app.schemas.jobs import BaseModelRef, DatasetRef, WorkerRef
from app.schemas.metrics import ClassScores, Evaluation
from app.schemas.text import TextOptions
from app.settings import Settings
from app.significance.answers import Answers
from app.store import datasets, jobs, models, tables
from app.store.engine import Database, clock
from tests.app.api import tiny_bundle
from worker.batches import BatchPredictor
from worker.process import Spawner
from worker.workspace import Workspace

ROWS = [{"text": f"message {number}", "label": "ab"[number % 2]} for number in range(40)]
BASE = "http://127.0.0.1:8000"
Open = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def open_client(data_dir: Path, sqlite_url: str) -> Open:
    """How to start the API with other settings."""

    @contextmanager
    def start(**changes: Any) -> Iterator[TestClient]:
        values: dict[str, Any] = {
            "data_dir": data_dir,
            "database_url": sqlite_url,
            "hub_endpoint": "http://127.0.0.1:9",
            "log_level": "WARNING",
        }
        settings = Settings(_env_file=None, **(values | changes))
        with TestClient(create_app(settings), base_url=BASE, raise_server_exceptions=False) as client:
            yield client

    return start


@pytest.fixture
def client(open_client: Open) -> Iterator[TestClient]:
    """A running API on SQLite."""
    with open_client() as client:
        yield client


@pytest.fixture
def db(sqlite_url: str) -> Iterator[Database]:
    """The database of that API, for looking and for acting as a worker."""
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def dataset_id(client: TestClient, db: Database, tmp_path: Path) -> str:
    """A stored dataset of 40 rows and the labels a and b; parsed here, because a process for each test takes long."""
    (tmp_path / UPLOAD).write_text(json.dumps(ROWS))
    limits = Limits(max_rows=100, max_text_chars=100, max_labels=10)
    accepted = parse(tmp_path, Order(options=DatasetOptions(), limits=limits))
    key = "datasets/ds_00000000000000000000000000000001/rows.jsonl"
    client.app.state.services.artifacts.put(key, tmp_path / "rows.jsonl")
    row = dataset_row("ds_00000000000000000000000000000001", key, accepted)
    return str(db.run(lambda session: datasets.insert(session, row)).id)


@pytest.fixture
def batch_worker(client: TestClient, db: Database, data_dir: Path) -> Iterator[Callable[[], None]]:
    """How to start the part of a worker that takes batches, which really classifies."""
    settings: Settings = client.app.state.settings.model_copy(
        update={"poll_seconds": 0.05, "batch_chunk_rows": 2, "batch_threads": 1}
    )
    spawner, draining = Spawner(), threading.Event()
    workspace = Workspace(data_dir / "work", data_dir / "logs")
    part = BatchPredictor(
        "wrk_1", settings, db, store_of(settings), spawner=spawner, workspace=workspace, draining=draining
    )

    def start() -> None:
        workspace.open()
        part.thread.start()

    yield start
    draining.set()
    if part.thread.is_alive():
        part.thread.join()
        workspace.close()
    spawner.close()


@pytest.fixture
def body(dataset_id: str) -> dict[str, Any]:
    """The body of a job that is accepted without a network."""
    return {"model": "mood", "dataset_id": dataset_id, "base_model": "minilm-l6"}


@pytest.fixture
def job_id(client: TestClient, body: dict[str, Any]) -> str:
    """A queued job."""
    return str(client.post("/jobs", json=body).json()["id"])


@pytest.fixture
def publish(client: TestClient, db: Database, body: dict[str, Any], tmp_path: Path) -> Callable[..., int]:
    """How to have a worker finish a job: gives the number of the version, which can be served."""

    def run(model: str = "mood", **changes: Any) -> int:
        job_id = client.post("/jobs", json=body | {"model": model}).json()["id"]
        return publish_version(
            db, client.app.state.services.artifacts, job_id, model, tmp_path / "bundles" / job_id, **changes
        )

    return run


def publish_version(
    database: Database,
    artifacts: ArtifactStore,
    job_id: str,
    model: str,
    folder: Path,
    answers: Answers | None = None,
    **changes: Any,
) -> int:
    """Do what a worker does with a queued job, but for the training; gives the number of the version.

    ``changes`` replace fields of its manifest; ``answers`` are those to its test rows.
    """
    with database.transaction(read_only=True) as session:
        row = jobs.get(session, job_id)
        assert row is not None
        bundle, sha256 = tiny_bundle.write(folder, manifest(session, row, model).model_copy(update=changes), answers)
    put_bundle(artifacts, bundle, f"models/{job_id}/1")
    return database.run(lambda session: finish(session, job_id, bundle.manifest, sha256)).version


def finish(session: Session, job_id: str, manifest: Manifest, sha256: str) -> tables.ModelVersion:
    """Claim a job and register its version, as a worker does."""
    claim = jobs.claim(
        session, job_id, owner="wrk_1", queues=["default"], lease_seconds=60, worker=WorkerRef(id="wrk_1")
    )
    assert claim is not None
    return models.register_version(
        session,
        claim,
        manifest=manifest,
        manifest_sha256=sha256,
        artifact_prefix=f"models/{job_id}/1",
        bytes=sum(entry.bytes for entry in manifest.files.values()),
    )


def manifest(session: Session, row: tables.Job, model: str) -> Manifest:
    """Make the manifest of a bundle that was never trained."""
    scores = ClassScores(label="a", precision=0.5, recall=0.5, f1=0.5, support=2)
    numbers = dict.fromkeys(
        ("f1_macro", "f1_weighted", "precision_macro", "precision_weighted", "recall_macro", "recall_weighted"), 0.5
    )
    evaluation = Evaluation(
        split="test",
        examples=4,
        loss=0.7,
        accuracy=0.75,
        per_class=[scores, scores.model_copy(update={"label": "b"})],
        confusion_matrix=[[1, 1], [1, 1]],
        **numbers,
    )
    return Manifest(
        model=model,
        job_id=row.id,
        attempt=1,
        created_at=clock(session),
        family="encoder",
        labels=["a", "b"],
        text=TextOptions(),
        tokenizer=TokenizerSettings(max_length=32, pad_token_id=0),
        base_model=BaseModelRef(id="minilm-l6", source="package"),
        dataset=DatasetRef(id=row.dataset_id, sha256="2" * 64, counts={"train": 32, "validation": 4, "test": 4}),
        hyperparameters={"seed": 42},
        resolutions=[],
        validation=evaluation.model_copy(update={"split": "validation"}),
        test=evaluation,
        exports=[],
        libraries={"torch": "2.13.0"},
        files={},
    )
