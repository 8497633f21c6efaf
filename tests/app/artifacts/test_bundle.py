"""Bundles through a store: whole, checked to the last byte, or refused."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.artifacts.bundle import MANIFEST, Bundle, Manifest, describe_files, sha256_of
from app.artifacts.file import FileStore
from app.artifacts.store import fetch_bundle, put_bundle
from app.errors import JobFailure
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.text import TextOptions, TokenizerSettings

PREFIX = "models/job_1/1"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "bundle"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")
    (folder / "weights" / "model.safetensors").write_bytes(b"tensors")
    manifest = Manifest(
        model="sentiment",
        job_id="job_1",
        attempt=1,
        created_at=datetime.now(UTC),
        family="encoder",
        labels=["negative", "positive"],
        text=TextOptions(),
        tokenizer=TokenizerSettings(max_length=16, pad_token_id=0),
        base_model=BaseModelRef(id="minilm-l6", source="package"),
        dataset=DatasetRef(id="ds_1", sha256="0" * 64, counts={"train": 2}),
        hyperparameters={},
        resolutions=[],
        validation=None,
        test=None,
        exports=[],
        libraries={},
        files=describe_files(folder),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return Bundle.open(folder)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "artifacts")


def test_a_bundle_travels_whole(store: FileStore, bundle: Bundle, tmp_path: Path) -> None:
    put_bundle(store, bundle, PREFIX)
    copy = fetch_bundle(store, PREFIX, tmp_path / "copy", manifest_sha256=sha256_of(bundle.folder / MANIFEST))
    assert copy.manifest == bundle.manifest
    assert copy.path("weights/model.safetensors").read_bytes() == b"tensors"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_is_put_last(store: FileStore, bundle: Bundle) -> None:
    (bundle.folder / "weights" / "model.safetensors").unlink()
    with pytest.raises(Exception, match="cannot be used"):
        put_bundle(store, bundle, PREFIX)
    assert store.size(f"{PREFIX}/model.onnx") == 5
    assert store.size(f"{PREFIX}/{MANIFEST}") is None


def test_serving_fetches_only_what_it_needs(store: FileStore, bundle: Bundle, tmp_path: Path) -> None:
    put_bundle(store, bundle, PREFIX)
    copy = fetch_bundle(store, PREFIX, tmp_path / "copy", only=["model.onnx"])
    assert sorted(path.name for path in copy.folder.iterdir()) == [MANIFEST, "model.onnx"]
    assert fetch_bundle(store, PREFIX, tmp_path / "copy", only=["model.onnx"]).manifest == bundle.manifest


@pytest.mark.parametrize("content", [b"grapH", b"grap", b"graph!", b"", None], ids=repr)
def test_a_changed_file_is_refused(store: FileStore, bundle: Bundle, tmp_path: Path, content: bytes | None) -> None:
    put_bundle(store, bundle, PREFIX)
    damaged = store.root / PREFIX / "model.onnx"
    damaged.unlink() if content is None else damaged.write_bytes(content)
    with pytest.raises(JobFailure) as refused:
        fetch_bundle(store, PREFIX, tmp_path / "copy")
    assert refused.value.code == "damaged-bundle"
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("content", [b"{}", b"not json", b"\xff", b"", None], ids=repr)
def test_a_damaged_manifest_is_refused(store: FileStore, bundle: Bundle, tmp_path: Path, content: bytes | None) -> None:
    put_bundle(store, bundle, PREFIX)
    damaged = store.root / PREFIX / MANIFEST
    damaged.unlink() if content is None else damaged.write_bytes(content)
    with pytest.raises(JobFailure) as refused:
        fetch_bundle(store, PREFIX, tmp_path / "copy")
    assert refused.value.code == "damaged-bundle"


def test_a_consistent_forgery_is_refused_by_the_registered_hash(
    store: FileStore, bundle: Bundle, tmp_path: Path
) -> None:
    put_bundle(store, bundle, PREFIX)
    registered = sha256_of(bundle.folder / MANIFEST)
    forged = bundle.manifest.model_dump_json().replace(
        hashlib.sha256(b"graph").hexdigest(), hashlib.sha256(b"Graph").hexdigest()
    )
    (store.root / PREFIX / MANIFEST).write_text(forged)
    (store.root / PREFIX / "model.onnx").write_bytes(b"Graph")
    assert fetch_bundle(store, PREFIX, tmp_path / "trusting").manifest.labels == bundle.manifest.labels
    with pytest.raises(JobFailure, match="not the one that was registered"):
        fetch_bundle(store, PREFIX, tmp_path / "careful", manifest_sha256=registered)


def test_a_manifest_that_names_a_place_outside_is_refused(store: FileStore, bundle: Bundle, tmp_path: Path) -> None:
    put_bundle(store, bundle, PREFIX)
    manifest = store.root / PREFIX / MANIFEST
    manifest.write_text(manifest.read_text().replace('"model.onnx"', '"../../../source"'))
    (tmp_path / "source").write_bytes(b"graph")
    with pytest.raises(Exception, match="not a plain relative path"):
        fetch_bundle(store, PREFIX, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
