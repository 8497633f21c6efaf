"""Publishing: the files of a bundle first, its row second, and never twice, whatever breaks in between."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.artifacts.bundle import MANIFEST, ONNX, Bundle
from app.artifacts.keys import ISSUES, of_attempt
from app.artifacts.store import ArtifactStore, put_bundle
from app.errors import AppError, JobFailure, StorageFull, Unavailable
from app.logging import get_logger
from app.retention.leftovers import remove_checkpoints
from app.store import models
from app.store.claims import Claim
from app.store.engine import Database
from app.store.tables import ModelVersion
from worker import checkpoints
from worker.lease import Lease

log = get_logger(__name__)

RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Publisher:
    """Turns the bundle of an attempt into a version."""

    database: Database
    artifacts: ArtifactStore
    draining: Callable[[], bool] = lambda: False
    """Whether the worker is to end, and must not wait for a store any more."""

    def publish(self, lease: Lease, folder: Path, manifest_sha256: str) -> ModelVersion:
        """Make a version of the bundle in ``folder`` and end the job as succeeded.

        Raises LeaseLost when the job is no longer ours or its client wants it cancelled: then nothing is left behind.
        Raises JobFailure ``damaged-bundle``, StorageFull, Unavailable; after Unavailable, the version may exist.
        """
        claim = lease.claim
        bundle = check(claim, folder, manifest_sha256)
        prefix = f"models/{claim.job_id}/{claim.attempt}"
        try:
            self._keep(lease, bundle, prefix)
        except Unavailable:  # the next try of this attempt can use what is there
            raise
        except AppError:
            self._remove_all(claim, claim.attempt)
            raise
        for earlier in range(claim.attempt):  # before the commit: a worker that dies right after it tidies nothing
            self._remove_all(claim, earlier)
        return self._register(lease, bundle, manifest_sha256, prefix)

    def _keep(self, lease: Lease, bundle: Bundle, prefix: str) -> None:
        """Keep the files; a store that is away is waited for, a full one is given the room of the checkpoints."""
        rooms, waiting = self._rooms(lease.claim.job_id), False
        while True:
            try:
                return put_bundle(self.artifacts, bundle, prefix)
            except StorageFull:
                if not next(rooms, False):
                    raise
            except Unavailable as error:
                if lease.lost() or lease.cancel_requested.is_set() or self.draining():
                    raise
                if not waiting:
                    log.warning("publishing_waits", code=error.code)
                    lease.recorder.say("Publishing: waiting until the artifact store can be written.")
                waiting = True
                time.sleep(RETRY_SECONDS)

    def _rooms(self, job_id: str) -> Iterator[bool]:
        """Give up the older checkpoints; only where the job would fail otherwise the newest, from which it would go on.

        Yields True each time something may have become free.
        """
        saved = checkpoints.list_whole(self.artifacts, job_id)
        for given_up in (saved[1:], saved[:1]):
            for stored in given_up:
                with suppress(AppError):  # then it is as full as before, and the next try says so
                    remove_checkpoints(self.artifacts, stored.prefix)
            if given_up:
                log.warning("checkpoints_given_up", count=len(given_up))
                yield True

    def keep_issues(self, claim: Claim, file: Path) -> None:
        """Keep what the attempt found about its data, for the report; the job is as good without."""
        if not file.is_file():
            return
        try:
            self.artifacts.put(of_attempt(claim.job_id, claim.attempt, ISSUES), file)
        except AppError as error:
            log.warning("issues_not_kept", code=error.code)

    def _register(self, lease: Lease, bundle: Bundle, manifest_sha256: str, prefix: str) -> ModelVersion:
        """Write the version; when the answer to a commit was lost, look whether it took effect."""
        size = sum(entry.bytes for entry in bundle.manifest.files.values()) + (bundle.folder / MANIFEST).stat().st_size
        while True:
            try:
                return self.database.run(
                    lambda session: models.register_version(
                        session,
                        lease.claim,
                        manifest=bundle.manifest,
                        manifest_sha256=manifest_sha256,
                        artifact_prefix=prefix,
                        bytes=size,
                    )
                )
            except (Unavailable, StorageFull) as error:
                if lease.lost():
                    raise
                log.warning("publishing_again", code=error.code)
                time.sleep(RETRY_SECONDS)
            except AppError:
                version = self._ours(lease.claim)  # an earlier try may have made it, its answer lost
                if version is None:
                    self._remove_all(lease.claim, lease.claim.attempt)
                    raise
                return version

    def _ours(self, claim: Claim) -> ModelVersion | None:
        """Find the version that this very attempt has registered, if it has."""
        version = self.database.run(lambda session: models.of_jobs(session, [claim.job_id])).get(claim.job_id)
        return version if version is not None and version.attempt == claim.attempt else None

    def _remove_all(self, claim: Claim, attempt: int) -> None:
        """Remove the files of an attempt that has made no version."""
        self._remove(f"models/{claim.job_id}/{attempt}")
        self._remove(f"jobs/{claim.job_id}/{attempt}")

    def _remove(self, prefix: str) -> None:
        """Remove what no row refers to; a failure leaves rubbish, not harm."""
        try:
            self.artifacts.remove(prefix)
        except AppError as error:
            log.warning("artifacts_left_behind", prefix=prefix, code=error.code)


def check(claim: Claim, folder: Path, manifest_sha256: str) -> Bundle:
    """Open the bundle of a finished attempt and make sure that it is whole and ours. Raises JobFailure."""
    bundle = Bundle.open(folder, manifest_sha256=manifest_sha256)
    manifest = bundle.manifest
    if (manifest.job_id, manifest.attempt) != (claim.job_id, claim.attempt) or ONNX not in manifest.files:
        raise JobFailure(
            detail="The training process handed back a bundle that is not this attempt's, or cannot be served.",
            code="damaged-bundle",
            remedy="Please report it; submitting the job again may help.",
            kind="internal",
        )
    return bundle
