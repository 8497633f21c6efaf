"""Garbage collection on a real store and a real folder: what nobody needs goes, everything else stays."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from app.artifacts.file import FileStore
from app.ids import new_id
from app.retention import leftovers
from app.retention.collecting import Collector
from app.store import jobs, models, retention

OLD = f"{int((time.time() - 90_000) * 1000):012x}"


def old_id(prefix: str) -> str:
    """Make an id of more than a day ago."""
    return f"{prefix}_{OLD}{'0' * 20}"


@pytest.fixture
def files(data_dir: Path, tmp_path: Path) -> FileStore:
    """An artifact store."""
    store = FileStore(tmp_path / "artifacts")
    store.root.mkdir()
    return store


def put(files: FileStore, key: str) -> None:
    source = files.root.parent / "source"
    source.write_bytes(b"12345")
    files.put(key, source)


def collector(store: Any, files: FileStore, data_dir: Path, grace: float = 86_400.0) -> Collector:
    return Collector(store.database, files, data_dir, grace)


def collect(found: Collector) -> list[tuple[str, str]]:
    garbage = list(found.find())
    for each in garbage:
        each.remove()
    return [(each.kind, each.place) for each in garbage]


def test_nothing_in_use_is_garbage(store: Any, files: FileStore, data_dir: Path) -> None:
    claim = store.running()
    put(files, f"models/{claim.job_id}/1/model.onnx")
    put(files, f"checkpoints/{claim.job_id}/1/10/manifest.json")
    assert collect(collector(store, files, data_dir, grace=0)) == []
    prefix = store.publish(claim).artifact_prefix
    put(files, f"{prefix}/tokenizer.json")
    put(files, f"datasets/{new_id('ds')}/rows.jsonl")  # just uploaded: its row comes in a moment
    put(files, "elsewhere/of-somebody.txt")
    kept = set(files.list("models"))
    assert ("checkpoints", f"checkpoints/{claim.job_id}") in collect(collector(store, files, data_dir))
    assert set(files.list("models")) == kept
    assert len(list(files.list("datasets"))) == 1
    assert list(files.list("elsewhere")) == ["elsewhere/of-somebody.txt"]


def test_files_of_a_deleted_version_go_after_the_grace(store: Any, files: FileStore, data_dir: Path) -> None:
    prefix = store.publish(store.running()).artifact_prefix
    put(files, f"{prefix}/model.onnx")
    store.do(retention.delete_version, "mood", 1)
    assert collect(collector(store, files, data_dir)) == []
    dry = list(collector(store, files, data_dir, grace=0).find())
    assert [(each.kind, each.place, each.bytes) for each in dry] == [("deleted-version", prefix, 3_000_000_000)]
    assert list(files.list("models")) == [f"{prefix}/model.onnx"], "to find is not to remove"
    assert collect(collector(store, files, data_dir, grace=0)) == [("deleted-version", prefix)]
    assert list(files.list("models")) == []
    assert collect(collector(store, files, data_dir, grace=0)) == []


def test_bundles_of_jobs_that_published_nothing_go(store: Any, files: FileStore, data_dir: Path) -> None:
    claim = store.running()
    put(files, f"models/{claim.job_id}/1/model.onnx")
    unknown, stray = old_id("job"), new_id("job")
    put(files, f"models/{unknown}/1/model.onnx")
    put(files, f"models/{stray}/1/model.onnx")
    store.do(jobs.cancel, claim.job_id)
    store.do(jobs.cancelled, claim, "The client cancelled the job.")
    assert collect(collector(store, files, data_dir)) == [("bundle", f"models/{unknown}/1")]
    time.sleep(0.01)
    assert collect(collector(store, files, data_dir, grace=0)) == [
        ("bundle", f"models/{claim.job_id}/1"),
        ("bundle", f"models/{stray}/1"),
    ]


def test_datasets_without_a_row_and_half_written_files_go(store: Any, files: FileStore, data_dir: Path) -> None:
    gone = old_id("ds")
    put(files, f"datasets/{gone}/rows.jsonl")
    half = files.root / "datasets" / f".rows.jsonl.{'0' * 12}.part"
    half.write_bytes(b"12")
    assert collect(collector(store, files, data_dir)) == [("dataset", f"datasets/{gone}")]
    os.utime(half, (0, 0))
    assert collect(collector(store, files, data_dir)) == [("unfinished-copy", f"datasets/{half.name}")]
    assert not half.exists()


def test_this_machines_copies_of_versions_that_are_gone_go(store: Any, files: FileStore, data_dir: Path) -> None:
    version = store.publish(store.running())
    places = [data_dir / "cache" / "models" / f"{name}-onnx" for name in (version.id, new_id("ver"))]
    places.append(data_dir / "uploads" / "up-1")
    for place in places:
        place.mkdir(parents=True)
        (place / "file").write_bytes(b"123")
        os.utime(place, (0, 0))
    fresh = data_dir / "uploads" / "up-2"
    fresh.mkdir()
    assert collect(collector(store, files, data_dir)) == [("upload", str(places[2])), ("local-copy", str(places[1]))]
    assert places[0].is_dir() and fresh.is_dir()


def test_workers_remove_the_files_of_deleted_versions_too(
    store: Any, files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = store.publish(store.running()).artifact_prefix
    put(files, f"{prefix}/model.onnx")
    store.do(retention.delete_version, "mood", 1)
    leftovers.sweep(store.database, files)
    assert len(list(files.list("models"))) == 1
    monkeypatch.setattr(leftovers, "READERS_SECONDS", 0.0)
    leftovers.sweep(store.database, files)
    assert list(files.list("models")) == []
    assert store.do(retention.prefixes) == set()
    assert store.do(models.versions, "mood") == []
