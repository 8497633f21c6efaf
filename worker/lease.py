"""The lease on a job: a thread renews it, carries reports to the store, and hears of cancels and of losing the job."""

import math
import threading
import time

from app.errors import AppError
from app.logging import bound, get_logger
from app.store import jobs
from app.store.claims import Claim
from app.store.engine import Database
from worker import stillness
from worker.failures import stuck
from worker.tracking import recorder
from worker.tracking.recorder import Recorder

log = get_logger(__name__)

FENCE = 0.9
"""Share of the lease after which a worker that could not renew it stops by itself, before anyone else may start."""
FLUSH_SECONDS = 1.0


def clock() -> float:
    """Read a clock that no one sets and that runs on while the machine sleeps, where there is one; in seconds."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """Our right to one attempt. The worker's own clock decides when to give up; the database's, when others may."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        recorder: Recorder,
        *,
        claimed_at: float,
        lease_seconds: float,
        heartbeat_seconds: float,
        stall_seconds: float = math.inf,
    ) -> None:
        self.claim = claim
        self.recorder = recorder
        self.cancel_requested = threading.Event()
        self.stop_requested = threading.Event()
        self._database = database
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._stall_seconds = stall_seconds
        self._worker_thread: stillness.Stillness | None = None
        self._renewed_at = claimed_at
        self._fallen = threading.Event()
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{claim.job_id}", daemon=True)

    def start(self) -> None:
        """Begin to renew, for as long as the calling thread, which does the work, is not stuck."""
        self._worker_thread = stillness.of_this_thread()
        self._thread.start()

    def stop(self) -> None:
        """Renew no more; a beat under way may still end."""
        self._ended.set()

    def lost(self) -> bool:
        """Say whether the job may no longer be ours: the database said so, or it was silent for too long.

        Once so, always so: the training process was killed for it, whatever the database answers later.
        """
        if clock() - self._renewed_at > FENCE * self._lease_seconds:
            self._fallen.set()
        return self._fallen.is_set()

    def flush(self) -> bool:
        """Write what the recorder holds; False when the claim has fallen. Unavailable: nothing forgotten."""
        with self._writing:
            entries = self.recorder.take()
            if not entries:
                return not self._fallen.is_set()
            try:
                held = self._database.run(lambda session: recorder.write(session, self.claim, entries))
            except AppError:
                self.recorder.put_back(entries)
                raise
            if not held:
                self._fallen.set()
            return held

    def forget(self) -> None:
        """Drop what could not be written, also what the renewing thread has just tried to write."""
        with self._writing:
            self.recorder.take()

    def beat(self) -> None:
        """Renew once; a lease that was given up is not renewed. Raises Unavailable."""
        if self.lost():
            return
        asked_at = clock()  # before the question: the answer may take long, and the lease runs from the database's now
        beat = self._database.run(
            lambda session: jobs.heartbeat(session, self.claim, lease_seconds=self._lease_seconds)
        )
        if not beat.held:
            self._fallen.set()
            return
        if self.lost():  # the answer came after we gave up, and nobody works on what it prolonged
            self._give_back()
            return
        self._renewed_at = asked_at
        if beat.cancel_requested:
            self.cancel_requested.set()
        if beat.stop_requested:
            self.stop_requested.set()

    def _give_back(self) -> None:
        reason = "The worker was cut off from the database and stopped the attempt."
        self._database.run(lambda session: jobs.release(session, self.claim, crashed=False, reason=reason))

    def _give_up_if_stuck(self) -> None:
        """Let another worker have the job when the thread that works on it hangs in a call; it meets a fallen claim."""
        if self._worker_thread is None or self._worker_thread.seconds() < self._stall_seconds or self.lost():
            return
        self._fallen.set()
        phase = self.recorder.phase
        failure = stuck(phase or "preparing")
        log.error("slot_stuck", phase=phase)
        self._database.run(
            lambda session: jobs.release(
                session, self.claim, crashed=True, reason=failure.detail, error=failure.as_dict(phase)
            )
        )

    def _keep(self) -> None:
        with bound(job_id=self.claim.job_id, attempt=self.claim.attempt):
            pause = min(FLUSH_SECONDS, self._heartbeat_seconds)
            while not self._ended.wait(pause) and not self._fallen.is_set():
                try:
                    self._give_up_if_stuck()
                    if clock() - self._renewed_at >= self._heartbeat_seconds:
                        self.beat()
                    if not self.lost():
                        self.flush()
                except AppError as error:
                    log.warning("lease_not_renewed", code=error.code, detail=error.detail)
                except Exception:  # a fault of this program must not cost the job
                    log.exception("report_lost")
