"""The reconciler: in every process it takes back expired leases, rings again for waiting jobs, and tidies up.

Each of its statements is a compare-and-set, so any number of them may run at once and none is in charge.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from app.errors import AppError
from app.logging import get_logger
from app.queue.enqueue import Doorbell
from app.settings import Settings
from app.store import idempotency, jobs, live, predictions, workers
from app.store.engine import Database
from app.telemetry import JOBS_RESCUED

RINGS_A_SWEEP = 50
TIDY_SECONDS = 3600.0
PURGE_SECONDS = 60.0
FORGET_WORKER_SECONDS = 86_400.0

T = TypeVar("T")
_log = get_logger(__name__)


class Reconciler:
    """A thread that sweeps every ``settings.sweep_seconds``, give or take a quarter."""

    def __init__(self, database: Database, doorbell: Doorbell, settings: Settings) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._tidied = time.monotonic()
        self._purged = float("-inf")

    def start(self) -> None:
        """Begin to sweep, at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End after the sweep that runs now; wait for it, up to ``timeout`` seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if not self._thread.is_alive():
                self._thread = None

    def sweep(self) -> None:
        """Do one round; what fails is tried again in the next one."""
        rescued = self._attempt("rescue expired leases", jobs.rescue_expired) or []
        for job_id, status in rescued:
            JOBS_RESCUED.labels(status=status).inc()
            _log.warning("lease ran out", job_id=job_id, status=status)
        pause = self._settings.sweep_seconds
        due = self._attempt("find unrung jobs", lambda session: jobs.due_for_ring(session, pause, RINGS_A_SWEEP)) or []
        for job_id, queue in due:
            self._doorbell.ring(job_id, queue)
        if time.monotonic() - self._purged >= PURGE_SECONDS:
            self._purged = time.monotonic()
            while self._attempt("forget logged answers", predictions.purge) == predictions.PURGED_AT_ONCE:
                if self._stopping.is_set():
                    return
        if time.monotonic() - self._tidied >= TIDY_SECONDS:
            self._tidied = time.monotonic()
            self._attempt("tidy up", self._tidy)

    def _tidy(self, session: Session) -> None:
        idempotency.purge(session, self._settings.idempotency_hours * 3600.0)
        live.purge(session)
        workers.purge(session, FORGET_WORKER_SECONDS)

    def _attempt(self, what: str, work: Callable[[Session], T]) -> T | None:
        try:
            return self._database.run(work)
        except AppError as error:
            _log.warning("sweep failed", what=what, code=error.code)
        except Exception:  # noqa: BLE001 - the thread must live: the next sweep may succeed
            _log.exception("sweep failed", what=what)
        return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sweep()
            self._stopping.wait(self._settings.sweep_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
