"""Checkpoints in the artifact store: kept while an attempt runs, found by the next one, swept after the last."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from app.artifacts.store import ArtifactStore
from app.errors import AppError, JobFailure, NotFound
from app.logging import get_logger
from app.store import jobs
from app.store.claims import Claim
from app.store.engine import Database
from worker.checkpoint_files import MANIFEST, verify
from worker.events import Checkpointed, Warned
from worker.tracking.recorder import Recorder

log = get_logger(__name__)

ROOT = "checkpoints"
SWEEP_BACK_SECONDS = 86_400.0
"""A worker that was killed while it published may have left files of a job that has failed since; so long ago at most.
"""


@dataclass(frozen=True, order=True)
class Stored:
    """One whole checkpoint in the artifact store; the greater is the newer one."""

    attempt: int
    step: int
    job_id: str

    @property
    def prefix(self) -> str:
        """Give the folder of its files: an attempt writes into its own only, so a forgotten one can spoil no other."""
        return f"{ROOT}/{self.job_id}/{self.attempt}/{self.step}"


class Checkpoints:
    """Carries what one attempt saves into the artifact store, in a thread of its own: training does not wait."""

    def __init__(self, artifacts: ArtifactStore, claim: Claim, recorder: Recorder) -> None:
        self._artifacts = artifacts
        self._claim = claim
        self._recorder = recorder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._in_trouble = False

    def keep(self, event: Checkpointed) -> None:
        """Store a checkpoint soon; its folder is removed then."""
        self._thread.submit(self._keep, event)

    def close(self, *, wanted: bool) -> None:
        """Wait until all is stored; if not ``wanted``, drop what has not begun."""
        self._thread.shutdown(cancel_futures=not wanted)

    def _keep(self, event: Checkpointed) -> None:
        stored = Stored(self._claim.attempt, event.step, self._claim.job_id)
        try:
            put(self._artifacts, event.folder, stored)
            self._recorder.hear(event)
            for old in list_whole(self._artifacts, self._claim.job_id)[event.kept :]:
                remove(self._artifacts, old.prefix)
        except (AppError, OSError) as error:
            log.warning("checkpoint_not_kept", step=event.step, error=type(error).__name__)
            self._tell(error)
        finally:
            shutil.rmtree(event.folder, ignore_errors=True)

    def _tell(self, error: Exception) -> None:
        if not self._in_trouble:  # once is enough: the next ones would fail alike
            self._in_trouble = True
            detail = error.detail if isinstance(error, AppError) else "The checkpoint cannot be read."
            what = f"Training goes on, but could not be saved: {detail}"
            self._recorder.hear(Warned(code="checkpoint-not-kept", detail=what))


def put(artifacts: ArtifactStore, folder: Path, stored: Stored) -> None:
    """Store the files of a checkpoint, its manifest last: what has a manifest is whole."""
    for file in sorted(folder.iterdir(), key=lambda file: (file.name == MANIFEST, file.name)):
        artifacts.put(f"{stored.prefix}/{file.name}", file)


def list_whole(artifacts: ArtifactStore, job_id: str) -> list[Stored]:
    """List a job's whole checkpoints, newest first."""
    found = []
    for key in artifacts.list(f"{ROOT}/{job_id}"):
        _, _, attempt, step, name = key.split("/")
        if name == MANIFEST:
            found.append(Stored(int(attempt), int(step), job_id))
    return sorted(found, reverse=True)


def fetch_newest(
    artifacts: ArtifactStore, job_id: str, fingerprint: str, scratch: Path, warn: Callable[[Warned], None]
) -> Path | None:
    """Bring the newest usable checkpoint of a job below ``scratch``; None when there is none.

    One that is damaged is passed over for the one before it, with a warning. Raises StorageFull, Unavailable.
    """
    for stored in list_whole(artifacts, job_id):
        folder = scratch / f"{stored.attempt}-{stored.step}"
        try:
            for key in artifacts.list(stored.prefix):
                artifacts.fetch(key, folder / key.rpartition("/")[2])
            verify(folder, fingerprint)
        except (JobFailure, NotFound) as error:
            detail = f"The checkpoint of step {stored.step} in attempt {stored.attempt} was passed over. {error.detail}"
            warn(Warned(code="resume-fallback", detail=detail))
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return folder
    return None


def remove(artifacts: ArtifactStore, prefix: str) -> None:
    """Remove everything below a prefix, manifests first: what is half removed counts as absent."""
    for key in list(artifacts.list(prefix)):
        if key.endswith(f"/{MANIFEST}"):
            artifacts.delete(key)
    artifacts.remove(prefix)


def sweep(database: Database, artifacts: ArtifactStore) -> None:
    """Remove what jobs that have ended left behind; trouble with either store is for the next time."""
    try:
        saved = set(_job_ids(artifacts))
        unfinished = database.run(lambda session: jobs.unfinished(session, saved)) if saved else set()
        for job_id in saved - unfinished:
            remove(artifacts, f"{ROOT}/{job_id}")
        for job_id in database.run(lambda session: jobs.ended_in_vain(session, SWEEP_BACK_SECONDS)):
            artifacts.remove(f"models/{job_id}")
    except AppError as error:
        log.warning("leftovers_not_swept", code=error.code)


def _job_ids(artifacts: ArtifactStore) -> Iterator[str]:
    for key in artifacts.list(ROOT):
        yield key.split("/")[1]
