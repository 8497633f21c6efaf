"""Checkpoints in a real artifact store: whole or not there, the newest usable one is found, nothing is left over."""

import json
from pathlib import Path

import pytest

from app.artifacts.bundle import describe_files
from app.artifacts.file import FileStore
from app.schemas.jobs import WorkerRef
from app.store import jobs
from app.store.claims import Claim
from worker.checkpoints import ROOT, Checkpoints, Stored, fetch_newest, list_whole, put, sweep
from worker.events import Checkpointed, Warned
from worker.tracking.recorder import Recorder

JOB = "job_1"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "artifacts")


def checkpoint(folder: Path, step: int, fingerprint: str = "f") -> Path:
    """Write a small whole checkpoint."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights of step %d" % step)
    files = {name: entry.model_dump() for name, entry in describe_files(place).items()}
    (place / "manifest.json").write_text(json.dumps({"fingerprint": fingerprint, "files": files}))
    return place


def keep_all(
    store: FileStore, folder: Path, attempt: int, steps: list[int], *, wanted: bool = True, kept: int = 2
) -> Recorder:
    """Let an attempt save at these steps."""
    recorder = Recorder()
    checkpoints = Checkpoints(store, Claim(JOB, attempt, "wrk_1"), recorder)
    for step in steps:
        checkpoints.keep(Checkpointed(step=step, folder=checkpoint(folder, step), kept=kept))
    checkpoints.close(wanted=wanted)
    return recorder


def test_the_newest_two_are_kept_and_nothing_stays_on_the_disk(store: FileStore, tmp_path: Path) -> None:
    keep_all(store, tmp_path / "work", 1, [5, 10, 100])
    assert list_whole(store, JOB) == [Stored(1, 100, JOB), Stored(1, 10, JOB)]
    assert list((tmp_path / "work").iterdir()) == []
    keep_all(store, tmp_path / "work", 2, [20])
    assert list_whole(store, JOB) == [Stored(2, 20, JOB), Stored(1, 100, JOB)]


def test_as_many_are_kept_as_the_job_asks_for(store: FileStore, tmp_path: Path) -> None:
    keep_all(store, tmp_path / "work", 1, [5, 10, 100], kept=3)
    assert [stored.step for stored in list_whole(store, JOB)] == [100, 10, 5]
    keep_all(store, tmp_path / "work", 2, [20, 30], kept=1)
    assert list_whole(store, JOB) == [Stored(2, 30, JOB)]


def test_the_newest_is_found(store: FileStore, tmp_path: Path) -> None:
    keep_all(store, tmp_path / "work", 1, [5, 10])
    warnings: list[Warned] = []
    found = fetch_newest(store, JOB, "f", tmp_path / "scratch", warnings.append)
    assert found is not None
    assert (found / "model.safetensors").read_bytes() == b"weights of step 10"
    assert warnings == []
    assert fetch_newest(store, "job_2", "f", tmp_path / "scratch", warnings.append) is None


def test_a_damaged_one_is_passed_over(store: FileStore, tmp_path: Path) -> None:
    keep_all(store, tmp_path / "work", 1, [5, 10])
    file = tmp_path / "artifacts" / ROOT / JOB / "1" / "10" / "model.safetensors"
    file.write_bytes(b"weights of step 11")
    warnings: list[Warned] = []
    found = fetch_newest(store, JOB, "f", tmp_path / "scratch", warnings.append)
    assert found is not None
    assert (found / "model.safetensors").read_bytes() == b"weights of step 5"
    [warning] = warnings
    assert warning.code == "resume-fallback"
    assert "step 10" in warning.detail


def test_those_of_something_else_are_never_used(store: FileStore, tmp_path: Path) -> None:
    keep_all(store, tmp_path / "work", 1, [5, 10])
    warnings: list[Warned] = []
    assert fetch_newest(store, JOB, "other", tmp_path / "scratch", warnings.append) is None
    assert len(warnings) == 2


def test_without_a_manifest_there_is_no_checkpoint(store: FileStore, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "work", 5)
    (folder / "manifest.json").unlink()
    put(store, folder, Stored(1, 5, JOB))
    assert list_whole(store, JOB) == []


def test_a_store_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    recorder = keep_all(FileStore(tmp_path / "artifacts"), tmp_path / "work", 1, [5, 10])
    [entry] = recorder.take()
    assert [warning.code for warning in entry.warnings] == ["checkpoint-not-kept"]
    assert list((tmp_path / "work").iterdir()) == []


def test_those_of_ended_jobs_are_swept(world) -> None:  # type: ignore[no-untyped-def]
    waiting = world.submit()
    for job_id in (waiting, "job_that_never_was"):
        put(world.artifacts, checkpoint(world.settings.data_dir / job_id, 5), Stored(1, 5, job_id))
    sweep(world.database, world.artifacts)
    assert {key.split("/")[1] for key in world.stored(ROOT)} == {waiting}


def test_half_a_bundle_of_a_job_that_failed_is_swept(world, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "half").write_text("half a bundle")
    failed, running = world.submit(), world.submit()
    for job_id in (failed, running):
        claim = world.database.run(
            lambda session, job_id=job_id: jobs.claim(
                session, job_id, owner="w", queues=["default"], lease_seconds=60.0, worker=WorkerRef(id="w")
            )
        )
        world.artifacts.put(f"models/{job_id}/1/model.onnx", tmp_path / "half")
        if job_id == failed:
            error = {"code": "diverged", "category": "data", "detail": "d", "remedy": None, "phase": None}
            world.database.run(lambda session, claim=claim, error=error: jobs.fail(session, claim, error, "r"))
    sweep(world.database, world.artifacts)
    assert world.stored() == [f"models/{running}/1/model.onnx"]
