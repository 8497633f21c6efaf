"""Batch predictions beside the slots: one at a time, in a process of its own, resumed behind the last whole chunk."""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.artifacts.bundle import TOKENIZER, sha256_of
from app.artifacts.store import ArtifactStore, fetch_bundle
from app.artifacts.stored import stored_manifest
from app.errors import AppError, JobFailure, NotFound, Unavailable
from app.logging import bound, get_logger
from app.preflight.messages import ROWS
from app.processors import usable_cpus
from app.schemas.batches import BatchOptions
from app.schemas.evaluations import Judging
from app.settings import Settings
from app.store import batches, models, tables
from app.store.engine import Database
from app.store.errands import ErrandClaim
from worker.batch_messages import BatchOrder, BatchSays
from worker.errand_lease import Held
from worker.failures import from_app_error
from worker.lease import clock
from worker.process import Process, Spawner, child_environment
from worker.rounds import Rounds
from worker.workspace import Workspace

log = get_logger(__name__)

TICK_SECONDS = 0.2
CHUNK_SECONDS = 10.0
"""A chunk is closed after so long, however few rows it has, so that little is lost and progress is seen."""


class BatchPredictor:
    """Carries out batch predictions, in a thread of its own."""

    def __init__(
        self,
        owner: str,
        settings: Settings,
        database: Database,
        artifacts: ArtifactStore,
        *,
        spawner: Spawner,
        workspace: Workspace,
        draining: threading.Event,
    ) -> None:
        self._owner = owner
        self._settings = settings
        self._database = database
        self._artifacts = artifacts
        self._spawner = spawner
        self._workspace = workspace
        self._draining = draining
        self.thread = Rounds(
            "batch-predictor", claim=self._claim, work=self._work, poll_seconds=settings.poll_seconds, draining=draining
        ).thread

    def _claim(self) -> Held[ErrandClaim] | None:
        """Take a batch, if any has not ended; to look first keeps an idle worker from locking the database."""
        with self._database.transaction(read_only=True) as session:
            if not batches.waiting(session):
                return None
        asked_at, lease = clock(), self._settings.lease_seconds
        claim = self._database.run(lambda session: batches.claim_next(session, owner=self._owner, lease_seconds=lease))
        return None if claim is None else Held(self._database, claim, batches.beat, self._settings, asked_at)

    def _work(self, held: Held[ErrandClaim]) -> None:
        """Carry one batch to its end; a worker that dies on the way leaves it to the next, by its lease."""
        claim = held.claim
        with bound(batch_id=claim.id, attempt=claim.attempt):
            log.info("batch_began")
            folder = self._workspace.new_folder()
            try:
                self._attempt(held, folder)
            except Unavailable as error:
                reason = error.detail
                held.settle(lambda session: batches.release(session, claim, reason))
                raise  # so that a while passes before it is tried again
            except AppError as error:
                failure = from_app_error(error).as_dict(None)
                log.info("batch_failed", code=error.code)
                held.settle(lambda session: batches.fail(session, claim, failure))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _attempt(self, held: Held[ErrandClaim], folder: Path) -> None:
        with held.renewing():
            order, first = self._prepare(held.claim, folder)
        process = self._spawner.start(
            ["-m", "worker.batch_child"], folder=folder, environment=child_environment(os.environ, folder)
        )
        try:
            process.feed(order)
            ending = self._follow(held, process, first)
        finally:
            exit_code = process.bury()
        claim, judgement = held.claim, None
        if ending is not None and ending.judgement is not None:
            judgement = ending.judgement.model_dump(mode="json")
        if ending is None:
            reason = "The worker shut down and gave it back; it goes on behind the last whole chunk."
            held.settle(lambda session: batches.release(session, claim, reason))
        elif ending.error is not None:
            error = ending.error
            held.settle(lambda session: batches.fail(session, claim, error))
        elif not ending.done:
            log.warning("batch_crashed", exit_code=exit_code)
            reason = "The classifying process ended without a word, as it does when memory runs out."
            held.settle(lambda session: batches.release(session, claim, reason, lost=True))
        elif held.settle(lambda session: batches.succeed(session, claim, judgement)):
            self._tidy(claim.id)
            log.info("batch_ended")

    def _prepare(self, claim: ErrandClaim, folder: Path) -> tuple[BatchOrder, int]:
        """Bring texts and version here; gives the order and the number of its first chunk.

        Raises JobFailure, Unavailable.
        """
        with self._database.transaction(read_only=True) as session:
            row = batches.get(session, claim.id)
            if row is None:
                raise LookupError(claim.id)
            version = models.get_version(session, row.model_name, row.version)
            chunks = batches.chunks(session, claim.id)
        if version is None:
            raise _gone(row)
        rows = folder / "rows.jsonl"
        try:
            self._artifacts.fetch(row.input_key, rows)
        except NotFound as error:
            raise _damaged("are missing from the artifact store") from error
        if sha256_of(rows) != row.input_sha256:
            raise _damaged("are not those that were sent")
        only = (stored_manifest(version).served_file, TOKENIZER)
        fetch_bundle(
            self._artifacts,
            version.artifact_prefix,
            folder / "bundle",
            only=only,
            manifest_sha256=version.manifest_sha256,
        )
        options = BatchOptions.model_validate(row.request)
        judging = None if row.judging is None else Judging.model_validate(row.judging)
        (folder / "chunks").mkdir()
        order = BatchOrder(
            bundle=folder / "bundle",
            rows=rows,
            start=row.rows_done,
            folder=folder / "chunks",
            chunk_rows=self._settings.batch_chunk_rows,
            chunk_seconds=CHUNK_SECONDS,
            threads=self._settings.batch_threads or usable_cpus(),
            top_k=options.top_k,
            return_all_scores=options.return_all_scores,
            judging=judging,
            before=[] if judging is None else self._fetched(chunks, folder),
        )
        return order, len(chunks)

    def _fetched(self, chunks: Sequence[tables.BatchChunk], folder: Path) -> list[Path]:
        """Bring the answers of earlier attempts here, so that they are scored with the others."""
        places = [folder / f"before-{chunk.number:06d}.jsonl" for chunk in chunks]
        for chunk, place in zip(chunks, places, strict=True):
            self._artifacts.fetch(chunk.artifact_key, place)
        return places

    def _follow(self, held: Held[ErrandClaim], process: Process, number: int) -> BatchSays | None:
        """Store chunks as they come; gives the last word, an empty one if there was none, None if we must stop."""
        heard_at = clock()
        while not process.silent:
            if self._draining.is_set() or not held.keep():
                return None
            if clock() - heard_at > self._settings.stall_seconds:
                log.warning("batch_stalled")
                break
            for line in process.lines(TICK_SECONDS):
                heard_at = clock()
                said = BatchSays.model_validate_json(line)
                if said.chunk is None:
                    return said
                if not self._store(held, said, said.chunk, number):
                    return None
                number += 1
        return BatchSays()

    def _store(self, held: Held[ErrandClaim], said: BatchSays, file: Path, number: int) -> bool:
        """Put a chunk into the store, and only then make it count; False when the claim has fallen."""
        claim = held.claim
        # An attempt writes into its own folder only, so a forgotten one can spoil no other.
        key = f"batches/{claim.id}/{claim.attempt}/{number:06d}.jsonl"
        chunk: dict[str, Any] = {
            "batch_id": claim.id,
            "number": number,
            "attempt": claim.attempt,
            "rows": said.rows,
            "bytes": file.stat().st_size,
            "sha256": sha256_of(file),
            "artifact_key": key,
        }
        with held.renewing():
            self._artifacts.put(key, file)
        speed = said.rows / max(said.seconds, 1e-6)
        counted = held.settle(
            lambda session: batches.commit_chunk(session, claim, tables.BatchChunk(**chunk), rows_per_second=speed)
        )
        file.unlink()
        return counted

    def _tidy(self, batch_id: str) -> None:
        """Remove what lost attempts have put without its ever counting; a failure leaves rubbish, not harm."""
        with self._database.transaction(read_only=True) as session:
            kept = {chunk.artifact_key for chunk in batches.chunks(session, batch_id)}
        try:
            for key in list(self._artifacts.list(f"batches/{batch_id}")):
                if key not in kept and not key.endswith(f"/{ROWS}"):
                    self._artifacts.delete(key)
        except AppError as error:
            log.warning("artifacts_left_behind", code=error.code)


def _gone(row: tables.BatchPrediction) -> JobFailure:
    return JobFailure(
        detail=f"Version {row.version} of {row.model_name} does not exist any more.",
        code="version-not-found",
        remedy="Submit the batch again with a version that exists.",
        kind="user",
    )


def _damaged(what: str) -> JobFailure:
    return JobFailure(
        detail=f"The texts of the batch {what}.",
        code="damaged-dataset",
        remedy="Send the texts again with a new batch.",
        kind="data",
    )
