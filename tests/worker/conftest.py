"""A small world for workers: a real database, a real artifact store, a tiny base model, and jobs for a toy pipeline."""

import hashlib
import importlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.artifacts.file import FileStore
from app.ids import new_id
from app.schemas.datasets import DatasetProfile, TextLengths
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import BaseModelRef, Status, TrainJobRequest
from app.settings import Settings
from app.store import datasets, events, jobs, migrate, models, revision, tables
from app.store.engine import Database
from tests.worker.toy_task import (  # noqa: F401 - fixtures
    brief_measurements,
    make_spec,
    recording,
    restored_torch,
    tiny_base,
)
from worker.hardware import Hardware
from worker.supervisor import Supervisor

TOY = Path(__file__).parent / "toy"
TOY_PIPELINE = "toy_pipeline:run"
LABELS = ["negative", "positive"]


class World:
    """One machine with everything but a trainer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.resolved_database_url)
        self.artifacts = FileStore(settings.data_dir / "artifacts")
        self.dataset = self._store_toy_dataset()
        self.toy = importlib.import_module("toy_pipeline")
        self._supervisors: list[Supervisor] = []

    def _store_toy_dataset(self) -> tables.Dataset:
        rows = [
            {"text": f"text {number}", "label": LABELS[number % 2], "split": split}
            for number, split in enumerate(["train"] * 8 + ["validation"] * 2 + ["test"] * 2)
        ]
        source = self.settings.data_dir / "upload.jsonl"
        source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return self.store_dataset(source, LABELS)

    def store_dataset(self, source: Path, labels: Sequence[str]) -> tables.Dataset:
        """Keep prepared rows as a dataset."""
        content = source.read_bytes()
        splits = Counter(json.loads(line)["split"] for line in content.splitlines())
        identity = new_id("ds")
        key = f"datasets/{identity}/rows.jsonl"
        self.artifacts.put(key, source)
        row = tables.Dataset(
            id=identity,
            name=None,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            rows=splits.total(),
            format="jsonl",
            labels=list(labels),
            counts=dict(splits),
            profile=self._profile(content, labels),
            artifact_key=key,
        )
        return self.database.run(lambda session: datasets.insert(session, row))

    def _profile(self, content: bytes, labels: Sequence[str]) -> dict[str, Any]:
        rows = [json.loads(line) for line in content.splitlines()]
        counts = {
            split: Counter(row["label"] for row in rows if row["split"] == split)
            for split in ("train", "validation", "test")
        }
        profile = DatasetProfile(
            labels=list(labels),
            splits={split: {"total": each.total(), "by_label": dict(each)} for split, each in counts.items()},
            text_lengths=TextLengths(p50=1, p90=1, p99=1, max=1),
            duplicates=0,
            majority_baseline=0.5,
            warnings=[],
        )
        return profile.model_dump(mode="json")

    def submit(
        self,
        toy: str = "train",
        *,
        base_model: BaseModelRef | None = None,
        dataset: tables.Dataset | None = None,
        hyperparameters: dict[str, Any] | None = None,
        **metadata: str,
    ) -> str:
        """Queue a job that behaves as ``toy`` says."""
        ref = base_model or BaseModelRef(id="tiny", source="folder")
        chosen = dataset or self.dataset
        request = TrainJobRequest(
            model="toy",
            dataset_id=chosen.id,
            base_model=ref.id,
            hyperparameters=Hyperparameters(**hyperparameters or {}),
            metadata={"toy": toy, **metadata},
        )
        return self.database.run(
            lambda session: jobs.submit(
                session,
                request=request,
                request_sha256="0" * 64,
                dataset=chosen,
                base_model=ref,
                warnings=[],
                max_attempts=self.settings.max_attempts,
            )
        ).id

    def supervisor(self, pipeline: str = TOY_PIPELINE, gpus: tuple[str, ...] = (), **changes: Any) -> Supervisor:
        """Start a worker's slots in this process."""
        settings = self.settings.model_copy(update=changes)
        supervisor = Supervisor(
            settings, self.database, self.artifacts, Hardware("toy machine", gpus), pipeline=pipeline
        )
        self._supervisors.append(supervisor)
        supervisor.start()
        return supervisor

    def job(self, job_id: str) -> tables.Job:
        """Read a job."""
        with self.database.transaction(read_only=True) as session:
            job = jobs.get(session, job_id)
        assert job is not None
        return job

    def wait(self, job_id: str, *statuses: Status, seconds: float = 30.0) -> tables.Job:
        """Wait until a job has one of the statuses."""
        return self.wait_until(job_id, lambda job: job.status in statuses, seconds=seconds)

    def wait_until(self, job_id: str, right: Callable[[tables.Job], bool], seconds: float = 30.0) -> tables.Job:
        """Wait until a job is as it should be."""
        deadline = time.monotonic() + seconds
        while not right(job := self.job(job_id)):
            assert time.monotonic() < deadline, (job.status, job.status_reason, job.error, self.history(job_id))
            time.sleep(0.02)
        return job

    def history(self, job_id: str, kind: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """List a job's events."""
        with self.database.transaction(read_only=True) as session:
            found = events.after(session, job_id, 0, 10_000)
        return [(event.type, event.data) for event in found if kind in (None, event.type)]

    def versions(self) -> list[tables.ModelVersion]:
        """List the versions of the one model."""
        with self.database.transaction(read_only=True) as session:
            return models.versions(session, "toy")

    def stored(self, prefix: str = "models") -> list[str]:
        """List the artifacts of jobs."""
        return list(self.artifacts.list(prefix))

    def close(self) -> None:
        """Stop what runs."""
        for supervisor in self._supervisors:
            supervisor.drain()
        self.database.close()


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A folder that looks like a base model; the toy pipeline never opens it."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def world(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on SQLite with short leases."""
    yield from _world(tmp_path, tiny_model, monkeypatch, f"sqlite:///{tmp_path / 'data' / 'tunesmith.db'}")


@pytest.fixture
def everywhere(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[World]:
    """A world on each kind of database, for what every one of them must get right."""
    yield from _world(tmp_path, tiny_model, monkeypatch, database_url)


def _world(folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[World]:
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(TOY), os.environ.get("PYTHONPATH")])))
    settings = Settings(
        _env_file=None,
        data_dir=folder / "data",
        database_url=database_url,
        base_models={"tiny": tiny_model},
        lease_seconds=4.0,
        heartbeat_seconds=0.2,
        poll_seconds=0.1,
        cancel_grace_seconds=1.0,
        drain_grace_seconds=1.0,
        warm_spare=False,
        hub_timeout_seconds=2.0,
    )
    settings.data_dir.mkdir(exist_ok=True)
    if not revision.is_current(database_url):
        migrate.upgrade(database_url)
    world = World(settings)
    yield world
    world.close()
