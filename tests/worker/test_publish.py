"""Publishing a bundle at most once, whatever breaks in between."""

from types import SimpleNamespace

import pytest

from app.artifacts.file import FileStore
from app.errors import InternalError, JobFailure, StorageFull, Unavailable
from app.schemas.jobs import BaseModelRef, DatasetRef, TrainJobRequest, WorkerRef
from app.store import jobs
from worker.events import AttemptSpec
from worker.lease import Lease, clock
from worker.publish import Publisher
from worker.tracking.recorder import Recorder


class FlakyStore(FileStore):
    """Fails at the chosen put, and at another one."""

    def __init__(self, root, *, at, error, again=0):
        super().__init__(root)
        self.again = again
        self.puts, self.at, self.error = 0, at, error

    def put(self, key, source):
        self.puts += 1
        if self.puts in (self.at, self.again):
            raise self.error
        super().put(key, source)


class Forgetful:
    """A database whose connection breaks once while it commits: before it took effect, or after."""

    def __init__(self, database, *, after):
        self.database, self.after, self.broken = database, after, False

    def run(self, work):
        if self.broken:
            return self.database.run(work)
        self.broken = True
        if self.after:
            self.database.run(work)
        raise Unavailable("The connection broke.", "database-unavailable")


class Refusing:
    """A database that answers each attempt to write with the next of its errors; one of them after it took effect."""

    def __init__(self, database, *errors, commits=-1):
        self.database, self.errors, self.commits, self.tries = database, list(errors), commits, 0

    def run(self, work):
        self.tries += 1
        if self.tries > len(self.errors):
            return self.database.run(work)
        if self.tries - 1 == self.commits:
            self.database.run(work)
        raise self.errors[self.tries - 1]


@pytest.fixture
def attempt(world, tmp_path):
    """A claimed job with its bundle ready."""
    job_id = world.submit()
    claim = world.database.run(
        lambda session: jobs.claim_next(
            session, owner="w", queues=["default"], lease_seconds=60.0, worker=WorkerRef(id="w")
        )
    )
    folder = tmp_path / "bundle"
    digest = world.toy.write_bundle(
        AttemptSpec(
            job_id=job_id,
            attempt=claim.attempt,
            model_name="toy",
            work_dir=tmp_path,
            dataset_file=tmp_path,
            dataset=DatasetRef(id=world.dataset.id, sha256="0" * 64, counts={"train": 1}),
            labels=["a", "b"],
            base_model=BaseModelRef(id="tiny", source="folder"),
            base_model_dir=tmp_path,
            request=TrainJobRequest(model="toy", dataset_id=world.dataset.id),
            bundle_dir=folder,
        ),
        b"content",
    )
    lease = Lease(world.database, claim, Recorder(), claimed_at=clock(), lease_seconds=60.0, heartbeat_seconds=5.0)
    return SimpleNamespace(job_id=job_id, claim=claim, folder=folder, digest=digest, lease=lease)


def publish(world, attempt, *, database=None, artifacts=None, draining=False):
    publisher = Publisher(database or world.database, artifacts or world.artifacts, lambda: draining)
    return publisher.publish(attempt.lease, attempt.folder, attempt.digest)


def test_files_and_row_appear_together(world, attempt):
    version = publish(world, attempt)
    assert world.job(attempt.job_id).status == "succeeded"
    assert [row.id for row in world.versions()] == [version.id]
    for name, entry in version.manifest["files"].items():
        assert world.artifacts.size(f"{version.artifact_prefix}/{name}") == entry["bytes"]


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_without_an_answer_is_looked_up(world, attempt, after):
    version = publish(world, attempt, database=Forgetful(world.database, after=after))
    assert [row.id for row in world.versions()] == [version.id]
    assert world.job(attempt.job_id).status == "succeeded"
    assert world.stored()


def test_a_full_disk_of_the_database_is_waited_for(world, attempt):
    version = publish(world, attempt, database=Refusing(world.database, StorageFull("full", "storage-full")))
    assert [row.id for row in world.versions()] == [version.id]
    assert world.stored()


def test_a_lease_that_runs_out_on_a_full_disk_takes_no_files_along(world, attempt):
    attempt.lease._fallen.set()
    with pytest.raises(StorageFull):
        publish(world, attempt, database=Refusing(world.database, StorageFull("full", "storage-full")))
    assert world.stored()


def test_no_error_after_an_unknown_commit_takes_the_files_of_a_version(world, attempt):
    errors = (Unavailable("away", "database-unavailable"), InternalError("refused", "database-refused"))
    version = publish(world, attempt, database=Refusing(world.database, *errors, commits=0))
    assert [row.id for row in world.versions()] == [version.id]
    assert world.stored()


def test_files_stay_while_nobody_knows_whether_a_version_owns_them(world, attempt):
    away, refused = Unavailable("away", "database-unavailable"), InternalError("refused", "database-refused")
    with pytest.raises(Unavailable):
        publish(world, attempt, database=Refusing(world.database, away, refused, away, commits=0))
    assert len(world.versions()) == 1
    assert world.stored()


def test_a_version_that_is_refused_leaves_nothing_behind(world, attempt):
    with pytest.raises(InternalError):
        publish(world, attempt, database=Refusing(world.database, InternalError("refused", "database-refused")))
    assert world.stored() == []


def test_what_earlier_attempts_left_goes_before_the_commit(world, attempt, tmp_path):
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("half a bundle")
    left = [f"jobs/{attempt.job_id}/0/issues.json", f"models/{attempt.job_id}/0/model.onnx"]
    for key in left:
        world.artifacts.put(key, rubbish)
    stored = []

    class Watching:
        def run(self, work):
            stored.extend(world.stored(""))
            return world.database.run(work)

    publish(world, attempt, database=Watching())
    assert f"models/{attempt.job_id}/1/manifest.json" in stored
    assert not set(left) & set(stored)


def test_a_lost_lease_leaves_nothing_behind(world, attempt):
    world.database.run(lambda session: jobs.release(session, attempt.claim, crashed=True, reason="r"))
    with pytest.raises(jobs.LeaseLost):
        publish(world, attempt)
    assert world.versions() == []
    assert world.stored() == []


def test_a_cancel_wins_over_a_bundle(world, attempt):
    world.database.run(lambda session: jobs.cancel(session, attempt.job_id))
    with pytest.raises(jobs.LeaseLost) as caught:
        publish(world, attempt)
    assert caught.value.code == "cancel-requested"
    assert world.stored() == []


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_full_disk_leaves_nothing_behind(world, attempt, at):
    full = StorageFull("full", "storage-full")
    with pytest.raises(StorageFull):
        publish(world, attempt, artifacts=FlakyStore(world.artifacts.root, at=at, again=2 * at, error=full))
    assert world.stored() == []
    assert world.versions() == []
    assert world.job(attempt.job_id).status == "running"


def test_checkpoints_make_room_on_a_full_disk(world, attempt, tmp_path):
    saved = tmp_path / "saved"
    saved.write_text("{}")
    world.artifacts.put(f"checkpoints/{attempt.job_id}/1/5/manifest.json", saved)
    full = StorageFull("full", "storage-full")
    publish(world, attempt, artifacts=FlakyStore(world.artifacts.root, at=3, error=full))
    assert len(world.versions()) == 1
    assert world.stored("checkpoints") == []


@pytest.mark.parametrize(("again", "left"), [(0, [15]), (4, [])])
def test_the_newest_checkpoint_goes_only_where_the_job_would_fail(world, attempt, tmp_path, again, left):
    saved, kept = tmp_path / "saved", []
    saved.write_text("{}")
    for step in (5, 10, 15):
        world.artifacts.put(f"checkpoints/{attempt.job_id}/1/{step}/manifest.json", saved)

    class Watching:
        def run(self, work):
            kept.extend(int(key.split("/")[3]) for key in world.stored("checkpoints"))
            return world.database.run(work)

    full = FlakyStore(world.artifacts.root, at=3, again=again, error=StorageFull("full", "storage-full"))
    publish(world, attempt, database=Watching(), artifacts=full)
    assert kept == left
    assert len(world.versions()) == 1


def test_an_absent_store_is_waited_for(world, attempt):
    away = Unavailable("away", "artifacts-unavailable")
    publish(world, attempt, artifacts=FlakyStore(world.artifacts.root, at=3, error=away))
    assert len(world.versions()) == 1


def test_a_draining_worker_does_not_wait_for_an_absent_store(world, attempt):
    away = Unavailable("away", "artifacts-unavailable")
    with pytest.raises(Unavailable):
        publish(world, attempt, artifacts=FlakyStore(world.artifacts.root, at=3, error=away), draining=True)
    publish(world, attempt)
    assert len(world.versions()) == 1


def test_leftovers_of_earlier_attempts_are_removed(world, attempt, tmp_path):
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("half a bundle")
    world.artifacts.put(f"models/{attempt.job_id}/0/model.onnx", rubbish)
    world.artifacts.put("models/job_other/1/model.onnx", rubbish)
    publish(world, attempt)
    assert f"models/{attempt.job_id}/0/model.onnx" not in world.stored()
    assert "models/job_other/1/model.onnx" in world.stored()


def test_a_bundle_that_changed_after_the_child_spoke_is_refused(world, attempt):
    (attempt.folder / "model.onnx").write_bytes(b"other content")
    with pytest.raises(JobFailure) as caught:
        publish(world, attempt)
    assert caught.value.code == "damaged-bundle"
    assert world.stored() == []


def test_a_bundle_of_another_attempt_is_refused(world, attempt):
    manifest = attempt.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"attempt":1', '"attempt":2'))
    attempt.digest = world.toy.sha256_of(manifest)
    with pytest.raises(JobFailure) as caught:
        publish(world, attempt)
    assert caught.value.code == "damaged-bundle"


def test_what_was_found_in_the_data_is_kept_beside_the_version(world, attempt, tmp_path):
    publisher, found = Publisher(world.database, world.artifacts), tmp_path / "issues.json"
    publisher.keep_issues(attempt.claim, found)
    assert world.stored("jobs") == []
    found.write_text("{}")
    publisher.keep_issues(attempt.claim, found)
    publish(world, attempt)
    assert world.stored("jobs") == [f"jobs/{attempt.job_id}/1/issues.json"]


def test_what_was_found_in_the_data_goes_with_a_version_that_did_not_come_to_be(world, attempt, tmp_path):
    found = tmp_path / "issues.json"
    found.write_text("{}")
    Publisher(world.database, world.artifacts).keep_issues(attempt.claim, found)
    world.database.run(lambda session: jobs.cancel(session, attempt.job_id))
    with pytest.raises(jobs.LeaseLost):
        publish(world, attempt)
    assert world.stored("jobs") == []


def test_a_full_disk_costs_the_findings_and_not_the_job(world, attempt, tmp_path):
    found = tmp_path / "issues.json"
    found.write_text("{}")
    full = FlakyStore(world.artifacts.root, at=1, error=StorageFull("full", "storage-full"))
    Publisher(world.database, full).keep_issues(attempt.claim, found)
    assert world.stored("jobs") == []
