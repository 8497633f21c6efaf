"""Checkpoints in the artifact store: kept while an attempt runs, found by the next one, swept after the last."""

import math
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.artifacts.store import ArtifactStore
from app.errors import AppError, JobFailure, NotFound, StorageFull, Unavailable
from app.logging import get_logger
from app.retention import leftovers
from app.retention.leftovers import remove_checkpoints
from app.store.claims import Claim
from app.store.engine import Database
from worker.checkpoint_files import MANIFEST, verify
from worker.events import Checkpointed, Warned
from worker.stillness import Stillness, of_this_thread
from worker.tracking.recorder import Recorder

log = get_logger(__name__)

ROOT = leftovers.CHECKPOINTS
RETRY_PAUSES = (0.5, 2.0)
"""Seconds between the tries to store a checkpoint: a store that blinks must not cost what a drain has saved."""
TICK_SECONDS = 0.2


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
    """Carries what one attempt saves into the artifact store, in a thread of its own: training does not wait.

    Where storing takes longer than the time between two of them, only the newest waits: the others would fill the disk.
    """

    def __init__(
        self, artifacts: ArtifactStore, claim: Claim, recorder: Recorder, *, stall_seconds: float = math.inf
    ) -> None:
        self._artifacts = artifacts
        self._stall_seconds = stall_seconds
        self._claim = claim
        self._recorder = recorder
        self._changed = threading.Condition()
        self._next: Checkpointed | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._stillness: Stillness | None = None
        self._in_trouble = False

    def keep(self, event: Checkpointed) -> None:
        """Store a checkpoint soon, unless a newer one comes before its turn; its folder is removed then."""
        self._replace(event)
        if self._thread is None:  # no pool: an upload that hangs must not keep this process from its end
            self._thread = threading.Thread(target=self._keep_all, name="checkpoints", daemon=True)
            self._thread.start()

    def close(self, *, wanted: bool) -> None:
        """Wait until the newest is stored, or its thread is stuck; if not ``wanted``, drop it if it has not begun."""
        if not wanted:
            self._replace(None)
        with self._changed:
            self._closed = True
            self._changed.notify()
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(TICK_SECONDS)
            if self._stillness is not None and self._stillness.seconds() >= self._stall_seconds:
                log.error("checkpoint_stuck")  # the thread is left to its fate; it can spoil its own folder only
                return

    def _replace(self, event: Checkpointed | None) -> None:
        """Let the newest checkpoint wait in the place of the one that has waited until now."""
        with self._changed:
            late, self._next = self._next, event
            self._changed.notify()
        if late is not None:
            log.info("checkpoint_passed_over", step=late.step)
            shutil.rmtree(late.folder, ignore_errors=True)

    def _keep_all(self) -> None:
        self._stillness = of_this_thread()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next is not None)
                event, self._next = self._next, None
            if event is None:
                return
            self._keep(event)

    def _keep(self, event: Checkpointed) -> None:
        stored = Stored(self._claim.attempt, event.step, self._claim.job_id)
        try:
            self._put(event.folder, stored)
            self._recorder.hear(event)
            for old in list_whole(self._artifacts, self._claim.job_id)[event.kept :]:
                remove_checkpoints(self._artifacts, old.prefix)
        except (AppError, OSError) as error:
            log.warning("checkpoint_not_kept", step=event.step, error=type(error).__name__)
            self._tell(error)
        finally:
            shutil.rmtree(event.folder, ignore_errors=True)

    def _put(self, folder: Path, stored: Stored) -> None:
        """Store the files of a checkpoint, or none of them: half a one would take the room of the next."""
        try:
            for pause in RETRY_PAUSES:
                try:
                    return put(self._artifacts, folder, stored)
                except StorageFull:
                    self._make_room(stored)
                except Unavailable:
                    time.sleep(pause)
            put(self._artifacts, folder, stored)
        except (AppError, OSError):
            with suppress(AppError):  # the end of the job sweeps it away
                remove_checkpoints(self._artifacts, stored.prefix)
            raise

    def _make_room(self, stored: Stored) -> None:
        """Give up all checkpoints but the newest whole one, from which the job would go on."""
        remove_checkpoints(self._artifacts, stored.prefix)
        for old in list_whole(self._artifacts, self._claim.job_id)[1:]:
            remove_checkpoints(self._artifacts, old.prefix)

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


def sweep(database: Database, artifacts: ArtifactStore) -> None:
    """Remove what jobs that have ended, and versions that were deleted, left behind; trouble is for the next time."""
    try:
        leftovers.sweep(database, artifacts)
    except AppError as error:
        log.warning("leftovers_not_swept", code=error.code)
