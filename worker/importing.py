"""Fetches datasets beside the slots: one import at a time, each in a process of its own, held by a lease."""

import shutil
import threading
from pathlib import Path
from typing import Any

from app.artifacts.store import ArtifactStore
from app.errors import AppError
from app.ids import new_id
from app.logging import bound, get_logger
from app.preflight.messages import ROWS, Limits
from app.preflight.stored import dataset_row
from app.settings import Settings
from app.store import imports
from app.store.engine import Database
from app.store.imports import ImportClaim
from worker.base_models import download_environment
from worker.failures import from_app_error, import_crashed
from worker.import_messages import Imported, ImportOrder
from worker.lease import clock
from worker.process import Process, Spawner
from worker.rounds import Rounds
from worker.workspace import Workspace

log = get_logger(__name__)

TICK_SECONDS = 0.2


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

    def _claim(self) -> ImportClaim | None:
        """Take an import, if any has not ended; to look first keeps an idle worker from locking the database."""
        with self._database.transaction(read_only=True) as session:
            if not imports.waiting(session):
                return None
        return self._database.run(
            lambda session: imports.claim_next(session, owner=self._owner, lease_seconds=self._settings.lease_seconds)
        )

    def _work(self, claim: ImportClaim) -> None:
        """Carry one import to its end; a worker that dies on the way leaves it to the next, by its lease."""
        with bound(import_id=claim.id, attempt=claim.attempt):
            log.info("import_began", source=claim.request.from_.source)
            folder = self._workspace.new_folder()
            try:
                imported = self._fetch(claim, folder)
                if imported is None:
                    self._database.run(
                        lambda session: imports.release(session, claim, "The worker shut down and gave it back.")
                    )
                elif imported.error is not None:
                    self._fail(claim, imported.error)
                else:
                    self._keep(claim, imported, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, claim: ImportClaim, folder: Path) -> Imported | None:
        """Run the process and renew the lease meanwhile; None when it must stop."""
        process = self._spawner.start(["-m", "worker.import_child"], folder=folder, environment=_environment(folder))
        try:
            process.feed(self._order(claim, folder))
            lines = self._listen(claim, process)
        finally:
            exit_code = process.bury()
        if lines is None:
            return None
        if not lines:
            log.warning("import_crashed", exit_code=exit_code)
            return Imported(error=import_crashed(None).as_dict(None))
        return Imported.model_validate_json(lines[0])

    def _listen(self, claim: ImportClaim, process: Process) -> list[bytes] | None:
        renewed = clock()
        lines: list[bytes] = []
        while not process.silent and not lines:
            if self._draining.is_set():
                return None
            if clock() - renewed >= self._settings.heartbeat_seconds:
                if not self._database.run(
                    lambda session: imports.renew(session, claim, lease_seconds=self._settings.lease_seconds)
                ):
                    return None
                renewed = clock()
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

    def _keep(self, claim: ImportClaim, imported: Imported, folder: Path) -> None:
        """Keep the rows, then the row that makes them a dataset; on failure keep neither."""
        if imported.accepted is None:
            raise ValueError("neither rows nor an error")
        dataset_id = new_id("ds")
        key = f"datasets/{dataset_id}/{ROWS}"
        dataset = dataset_row(dataset_id, key, imported.accepted, imported.provenance)
        try:
            self._artifacts.put(key, folder / ROWS)
        except AppError as error:
            self._fail(claim, from_app_error(error).as_dict(None))
            return
        if self._database.run(lambda session: imports.succeed(session, claim, dataset)):
            log.info("import_ended", dataset_id=dataset_id)
        else:
            self._artifacts.delete(key)

    def _fail(self, claim: ImportClaim, error: dict[str, Any]) -> None:
        log.info("import_failed", code=error["code"])
        self._database.run(lambda session: imports.fail(session, claim, error))


def _environment(folder: Path) -> dict[str, str]:
    """Give the operator's environment, for proxies and a hub token; what libraries cache goes with the attempt."""
    return download_environment() | {
        "TMPDIR": str(folder / "tmp"),
        "HF_DATASETS_CACHE": str(folder / "tmp" / "datasets"),
        "TOKENIZERS_PARALLELISM": "false",
    }
