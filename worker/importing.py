"""Fetches datasets beside the slots: one import at a time, each in a process of its own, held by a lease."""

import shutil
import threading
from pathlib import Path
from typing import Any

from app.artifacts.store import ArtifactStore
from app.errors import AppError, Unavailable
from app.logging import bound, get_logger
from app.preflight.messages import ROWS, Limits
from app.preflight.stored import dataset_row
from app.settings import Settings
from app.store import imports
from app.store.engine import Database
from app.store.imports import ImportClaim
from worker.base_models import download_environment
from worker.errand_lease import RETRY_SECONDS, Held
from worker.failures import from_app_error, import_crashed
from worker.import_messages import Imported, ImportOrder
from worker.lease import clock
from worker.process import Process, Spawner
from worker.rounds import Rounds
from worker.stillness import of_process
from worker.workspace import Workspace

log = get_logger(__name__)

TICK_SECONDS = 0.2
RECENT = 5
"""Attempts back that may have left something behind."""
WAITING = "The dataset is fetched; waiting until the artifact store can be written."
GIVEN_BACK = "The worker shut down and gave it back."


class Importer:
    """Carries out imports, in a thread of its own."""

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
            "importer", claim=self._claim, work=self._work, poll_seconds=settings.poll_seconds, draining=draining
        ).thread

    def _claim(self) -> Held[ImportClaim] | None:
        """Take an import, if any has not ended; to look first keeps an idle worker from locking the database."""
        with self._database.transaction(read_only=True) as session:
            if not imports.waiting(session):
                return None
        asked_at, lease = clock(), self._settings.lease_seconds
        claim = self._database.run(lambda session: imports.claim_next(session, owner=self._owner, lease_seconds=lease))
        return None if claim is None else Held(self._database, claim, imports.beat, self._settings, asked_at)

    def _work(self, held: Held[ImportClaim]) -> None:
        """Carry one import to its end; a worker that dies on the way leaves it to the next, by its lease."""
        claim = held.claim
        with bound(import_id=claim.id, attempt=claim.attempt):
            log.info("import_began", source=claim.request.from_.source)
            folder = self._workspace.new_folder()
            for earlier in range(max(1, claim.attempt - RECENT), claim.attempt):
                self._remove(dataset_id_of(claim.id, earlier))  # had it become a dataset, the import would have ended
            try:
                imported = self._fetch(held, folder)
                if imported is None:
                    held.settle(lambda session: imports.release(session, claim, GIVEN_BACK))
                elif imported.error is not None:
                    self._fail(held, imported.error)
                else:
                    self._keep(held, imported, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, held: Held[ImportClaim], folder: Path) -> Imported | None:
        """Run the process and renew the lease meanwhile; None when it must stop."""
        process = self._spawner.start(["-m", "worker.import_child"], folder=folder, environment=_environment(folder))
        try:
            process.feed(self._order(held.claim, folder))
            lines = self._listen(held, process)
        finally:
            exit_code = process.bury()
        if lines is None:
            return None
        if not lines:
            log.warning("import_crashed", exit_code=exit_code)
            return Imported(error=import_crashed(None).as_dict(None))
        return Imported.model_validate_json(lines[0])

    def _listen(self, held: Held[ImportClaim], process: Process) -> list[bytes] | None:
        """Wait for the answer; none at all from a process that has ended, or reads and writes nothing any more."""
        stillness = of_process(process.pid)
        lines: list[bytes] = []
        while not process.silent and not lines:
            if self._draining.is_set() or not held.keep():
                return None
            if stillness.seconds() >= self._settings.stall_seconds:
                log.warning("import_stalled")
                break
            lines += process.lines(TICK_SECONDS)
        return lines

    def _order(self, claim: ImportClaim, folder: Path) -> ImportOrder:
        settings = self._settings
        return ImportOrder(
            request=claim.request,
            folder=folder,
            hub_endpoint=settings.hub_endpoint,
            hub_enabled=settings.hub_enabled,
            cache_dir=settings.hub_cache_dir,
            max_bytes=settings.max_dataset_bytes,
            limits=Limits(
                max_rows=settings.max_dataset_rows,
                max_text_chars=settings.max_text_chars,
                max_labels=settings.max_labels,
            ),
            processed_dir=settings.processed_dir,
        )

    def _keep(self, held: Held[ImportClaim], imported: Imported, folder: Path) -> None:
        """Keep the rows, then the row that makes them a dataset; where there is none in the end, keep neither."""
        if imported.accepted is None:
            raise ValueError("neither rows nor an error")
        claim, dataset_id = held.claim, dataset_id_of(held.claim.id, held.claim.attempt)
        key = f"datasets/{dataset_id}/{ROWS}"
        dataset = dataset_row(dataset_id, key, imported.accepted, imported.provenance)
        try:
            with held.renewing():
                kept = self._put(held, key, folder / ROWS)
        except AppError as error:
            self._remove(dataset_id)
            self._fail(held, from_app_error(error).as_dict(None))
            return
        if not kept:
            self._remove(dataset_id)
            held.settle(lambda session: imports.release(session, claim, GIVEN_BACK))
        elif held.settle(lambda session: imports.succeed(session, claim, dataset)):
            log.info("import_ended", dataset_id=dataset_id)
        else:
            self._remove(dataset_id)

    def _put(self, held: Held[ImportClaim], key: str, rows: Path) -> bool:
        """Keep the rows; a store that is away is waited for. False when this worker must not wait any longer."""
        waiting = False
        while True:
            try:
                self._artifacts.put(key, rows)
                return True
            except Unavailable as error:
                if not waiting:
                    log.warning("import_waits", code=error.code)
                    held.settle(lambda session: imports.tell(session, held.claim, WAITING))
                waiting = True
                if self._draining.wait(RETRY_SECONDS) or held.fallen():
                    return False

    def _remove(self, dataset_id: str) -> None:
        """Remove what no row refers to, half a copy too; a failure leaves it to the collection of garbage."""
        try:
            self._artifacts.remove(f"datasets/{dataset_id}")
        except AppError as error:
            log.warning("artifacts_left_behind", code=error.code)

    def _fail(self, held: Held[ImportClaim], error: dict[str, Any]) -> None:
        log.info("import_failed", code=error["code"])
        held.settle(lambda session: imports.fail(session, held.claim, error))


def dataset_id_of(import_id: str, attempt: int) -> str:
    """Name the dataset that an attempt at an import makes: a later one knows so what an earlier one has left behind."""
    return f"ds_{import_id.partition('_')[2][:-4]}{attempt % 65_536:04x}"


def _environment(folder: Path) -> dict[str, str]:
    """Give the operator's environment, for proxies and a hub token; what libraries cache goes with the attempt."""
    return download_environment() | {
        "TMPDIR": str(folder / "tmp"),
        "HF_DATASETS_CACHE": str(folder / "tmp" / "datasets"),
        "TOKENIZERS_PARALLELISM": "false",
    }
