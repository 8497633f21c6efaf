"""The worker: slots that claim jobs by doorbell or by poll, a sign of life in SQL, and an orderly end."""

import os
import queue
import random
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from app.artifacts.store import ArtifactStore
from app.errors import AppError
from app.ids import new_id
from app.logging import get_logger
from app.queue.names import DEFAULT_QUEUE
from app.schemas.jobs import WorkerRef
from app.settings import Settings
from app.store import jobs, workers
from app.store.claims import Claim
from app.store.engine import Database
from worker.base_models import BaseModels
from worker.batches import BatchPredictor
from worker.checkpoints import sweep
from worker.child import DEFAULT_PIPELINE
from worker.hardware import Hardware
from worker.importing import Importer
from worker.lease import clock
from worker.process import Spawner
from worker.seats import Seats
from worker.slot import Slot, Tools
from worker.spare import Children
from worker.tracking.audience import Trackers
from worker.workspace import Workspace

log = get_logger(__name__)

ALIVE_FILE = "worker.alive"
"""Touched in the data folder with each sign of life, for health checks from outside."""
LONGEST_PAUSE_SECONDS = 60.0
DRAIN_MARGIN_SECONDS = 3.0
"""After the grace of the training processes: time to store what they saved and to give their jobs back."""
FAREWELL_SECONDS = 2.0
"""Time to tell the database what the slots did not; one that does not answer must not hold up the end."""


class Supervisor:
    """Runs jobs in ``settings.worker_slots`` slots. It needs the database; the broker only makes it quicker."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        artifacts: ArtifactStore,
        hardware: Hardware,
        *,
        queues: Sequence[str] = (DEFAULT_QUEUE,),
        pipeline: str = DEFAULT_PIPELINE,
    ) -> None:
        self.id = new_id("wrk")
        self.queues = tuple(queues)
        self.slots = settings.worker_slots
        self.claimed_by_poll = 0
        """Jobs that a poll found since the last ring: many mean that this worker has gone deaf."""
        self._settings = settings
        self._database = database
        self._artifacts = artifacts
        self._hardware = hardware
        self._draining = threading.Event()
        self._bell: queue.Queue[None] = queue.Queue(maxsize=self.slots)
        self._spawner = Spawner()
        self._workspace = Workspace(settings.work_dir, settings.data_dir / "logs" / "attempts")
        self._children = Children(self._spawner, self._workspace, pipeline=pipeline, spare=settings.warm_spare)
        tools = Tools(
            settings=settings,
            database=database,
            artifacts=artifacts,
            base_models=BaseModels(settings, database, artifacts, self._spawner),
            workspace=self._workspace,
            children=self._children,
            trackers=Trackers(settings),
            draining=self._draining,
            seats=Seats(hardware.gpus, self.slots),
        )
        self._working = [Slot(tools) for _ in range(self.slots)]
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"slot-{number}", daemon=True)
            for number, slot in enumerate(self._working)
        ]
        self._importer = Importer(
            self.id,
            settings,
            database,
            artifacts,
            spawner=self._spawner,
            workspace=self._workspace,
            draining=self._draining,
        )
        self._batches = BatchPredictor(
            self.id,
            settings,
            database,
            artifacts,
            spawner=self._spawner,
            workspace=self._workspace,
            draining=self._draining,
        )
        self._errands = [self._importer.thread, *([self._batches.thread] if settings.batch_predictions else [])]
        self._presence = threading.Thread(target=self._be_seen, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to take jobs. Raises OSError when the data folder cannot be written."""
        self._workspace.open()
        sweep(self._database, self._artifacts)
        self._children.refill()
        for thread in (self._presence, *self._errands, *self._threads):
            thread.start()

    def ring(self) -> None:
        """Wake an idle slot; which job it takes is decided in SQL, so a forged or repeated ring changes nothing."""
        self.claimed_by_poll = 0
        with suppress(queue.Full):
            self._bell.put_nowait(None)

    def drain(self) -> None:
        """Take nothing more, stop the running jobs, give them back and leave nothing behind."""
        log.info("draining", running=sum(slot.lease is not None for slot in self._working))
        self._draining.set()
        for _ in self._threads:
            self.ring()
        deadline = clock() + self._settings.drain_grace_seconds + DRAIN_MARGIN_SECONDS
        for thread in (*self._threads, *self._errands):
            thread.join(max(0.0, deadline - clock()))
        farewell = threading.Thread(target=self._say_farewell, name="farewell", daemon=True)
        farewell.start()
        farewell.join(FAREWELL_SECONDS)
        self._children.close()
        self._spawner.close()
        self._workspace.close()

    def _say_farewell(self) -> None:
        """Give back what still runs, and be no worker any more."""
        for slot in self._working:
            self._give_back(slot)
        self._presence.join(1.0)  # a late sign of life would bring it back
        with suppress(AppError):
            self._database.run(lambda session: workers.gone(session, self.id))

    def _give_back(self, slot: Slot) -> None:
        """Release the job of a slot that did not end in time; whatever it still does meets a fallen claim."""
        lease = slot.lease
        if lease is None:
            return
        reason = "The worker shut down and gave the job back."
        with suppress(AppError):
            self._database.run(lambda session: jobs.release(session, lease.claim, crashed=False, reason=reason))

    def _serve(self, slot: Slot) -> None:
        """Claim and work until the worker drains."""
        troubles, by_poll = 0, False
        while not self._draining.is_set():
            claimed_at = clock()
            claim = self._claim()
            if claim is None:
                by_poll = not self._rung()
                continue
            self.claimed_by_poll += by_poll
            by_poll = False
            troubles = troubles + 1 if self._work(slot, claim, claimed_at) else 0
            if troubles:
                self._draining.wait(min(LONGEST_PAUSE_SECONDS, 2.0**troubles))

    def _work(self, slot: Slot, claim: Claim, claimed_at: float) -> bool:
        """Carry a claim to its end; say whether it is wise to wait before the next one."""
        try:
            outcome = slot.work(claim, claimed_at)
            self._children.refill()
            sweep(self._database, self._artifacts)
        except Exception:  # the slot must outlive any fault; the job's lease runs out
            log.exception("slot_fault")
            return True
        return outcome.transient

    def _claim(self) -> Claim | None:
        try:
            return self._database.run(
                lambda session: jobs.claim_next(
                    session,
                    owner=self.id,
                    queues=self.queues,
                    lease_seconds=self._settings.lease_seconds,
                    worker=WorkerRef(id=self.id, device=self._hardware.name),
                )
            )
        except AppError as error:
            log.warning("claim_failed", code=error.code, detail=error.detail)
        except Exception:  # the slot must outlive any fault: nobody would start it again
            log.exception("claim_failed")
        return None

    def _rung(self) -> bool:
        """Wait for a ring, but no longer than the poll allows; say whether there was one."""
        pause = self._settings.poll_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        try:
            self._bell.get(timeout=pause)
        except queue.Empty:
            return False
        return True

    def _be_seen(self) -> None:
        while True:
            try:
                self._settings.data_dir.joinpath(ALIVE_FILE).touch()
                self._database.run(
                    lambda session: workers.seen(
                        session,
                        id=self.id,
                        hostname=socket.gethostname(),
                        pid=os.getpid(),
                        device=self._hardware.name,
                        slots=self.slots,
                        devices=self._hardware.devices,
                        queues=self.queues,
                    )
                )
            except (AppError, OSError) as error:
                log.warning("not_seen", error=type(error).__name__)
            if self._draining.wait(self._settings.heartbeat_seconds):
                return
