"""Checkpoints in a real artifact store: whole or not there, the newest usable one is found, nothing is left over."""

import json
import threading
import time
from pathlib import Path

import pytest

from app.artifacts.bundle import describe_files
from app.artifacts.file import FileStore
from app.errors import AppError, StorageFull, Unavailable
from app.schemas.jobs import BaseModelRef, WorkerRef
from app.store import jobs
from app.store.claims import Claim
from tests.processes import until
from worker import checkpoints as checkpoints_module
from worker.checkpoint_files import fingerprint
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
        saved = checkpoint(folder, step)
        checkpoints.keep(Checkpointed(step=step, folder=saved, kept=kept))
        until(lambda saved=saved: not saved.exists())  # type: ignore[misc]
    checkpoints.close(wanted=wanted)
    return recorder


class TroubledStore(FileStore):
    """Is slow until it is let go, and refuses some of its puts."""

    def __init__(self, root: Path, *, refused: dict[int, AppError] | None = None, slow: bool = False) -> None:
        super().__init__(root)
        self.refused = refused or {}
        self.puts = 0
        self.began, self.free = threading.Event(), threading.Event()
        if not slow:
            self.free.set()

    def put(self, key: str, source: Path) -> None:
        self.puts += 1
        self.began.set()
        assert self.free.wait(10.0)
        if self.puts in self.refused:
            raise self.refused[self.puts]
        super().put(key, source)


@pytest.mark.parametrize("wanted", [True, False])
def test_only_the_newest_waits_for_a_slow_store(tmp_path: Path, wanted: bool) -> None:
    store = TroubledStore(tmp_path / "artifacts", slow=True)
    checkpoints = Checkpoints(store, Claim(JOB, 1, "wrk_1"), Recorder())
    checkpoints.keep(Checkpointed(step=1, folder=checkpoint(tmp_path / "work", 1), kept=9))
    assert store.began.wait(10.0)
    for step in (2, 3, 4):
        checkpoints.keep(Checkpointed(step=step, folder=checkpoint(tmp_path / "work", step), kept=9))
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["checkpoint-1", "checkpoint-4"]
    threading.Timer(0.1, store.free.set).start()
    checkpoints.close(wanted=wanted)
    assert [stored.step for stored in list_whole(store, JOB)] == ([4, 1] if wanted else [1])
    assert list((tmp_path / "work").iterdir()) == []


def test_a_store_that_never_returns_is_not_waited_for(tmp_path: Path) -> None:
    store = TroubledStore(tmp_path / "artifacts", slow=True)
    checkpoints = Checkpoints(store, Claim(JOB, 1, "wrk_1"), Recorder(), stall_seconds=0.3)
    checkpoints.keep(Checkpointed(step=1, folder=checkpoint(tmp_path / "work", 1)))
    assert store.began.wait(10.0)
    began = time.monotonic()
    checkpoints.close(wanted=True)
    assert 0.2 < time.monotonic() - began < 3.0
    assert list_whole(store, JOB) == []
    store.free.set()


def test_a_full_disk_takes_the_older_ones_and_the_new_one_finds_room(tmp_path: Path) -> None:
    full = StorageFull("full", "storage-full")
    store = TroubledStore(tmp_path / "artifacts", refused={6: full})  # the manifest of the third
    recorder = keep_all(store, tmp_path / "work", 1, [5, 10, 15], kept=9)
    assert [stored.step for stored in list_whole(store, JOB)] == [15, 10]
    assert not [entry for entry in recorder.take() if getattr(entry, "warnings", ())]


def test_a_checkpoint_that_finds_no_room_leaves_nothing_and_the_last_good_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = StorageFull("full", "storage-full")
    store = TroubledStore(tmp_path / "artifacts", refused={4: full, 6: full, 8: full})  # always the second file
    keep_all(store, tmp_path / "work", 1, [5, 10])
    assert {key.rpartition("/")[0] for key in store.list(ROOT)} == {f"{ROOT}/{JOB}/1/5"}


def test_a_store_that_blinks_costs_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints_module, "RETRY_PAUSES", (0.0, 0.0))
    away = Unavailable("away", "artifacts-unavailable")
    store = TroubledStore(tmp_path / "artifacts", refused={1: away, 3: away})
    keep_all(store, tmp_path / "work", 1, [5])
    assert list_whole(store, JOB) == [Stored(1, 5, JOB)]


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


def test_an_equal_job_has_another_fingerprint() -> None:
    base = BaseModelRef(id="tiny", source="folder")
    one, other, again = (fingerprint(job_id, "r", "d", base) for job_id in ("job_1", "job_2", "job_1"))
    assert one == again != other


def test_without_a_manifest_there_is_no_checkpoint(store: FileStore, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "work", 5)
    (folder / "manifest.json").unlink()
    put(store, folder, Stored(1, 5, JOB))
    assert list_whole(store, JOB) == []


def test_a_store_that_cannot_be_written_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints_module, "RETRY_PAUSES", (0.0, 0.0))
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
        world.artifacts.put(f"jobs/{job_id}/1/issues.json", tmp_path / "half")
        if job_id == failed:
            error = {"code": "diverged", "category": "data", "detail": "d", "remedy": None, "phase": None}
            world.database.run(lambda session, claim=claim, error=error: jobs.fail(session, claim, error, "r"))
    sweep(world.database, world.artifacts)
    assert world.stored() == [f"models/{running}/1/model.onnx"]
    assert world.stored("jobs") == [f"jobs/{running}/1/issues.json"]
