"""The doorbell: tells workers that a job waits, soon and without promise; what it loses, the reconciler rings again."""

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import AppError
from app.logging import get_logger
from app.queue.names import DEFAULT_QUEUE
from app.settings import Settings
from app.telemetry import DOORBELL_RINGS

if TYPE_CHECKING:
    from app.queue.line import Line

MAX_UNSENT = 1_000
COMPLAIN_SECONDS = 60.0
SEND_SECONDS = CLOSE_SECONDS = 2.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ring:
    job_id: str
    queue: str


class Doorbell:
    """Sends from a thread of its own, so that no broker, however sick, can hold up a request."""

    def __init__(self, broker: Settings | str) -> None:
        self._broker = broker
        self._unsent: queue.Queue[_Ring | None] = queue.Queue(MAX_UNSENT)
        self._line: Line | None = None
        self._complained = -COMPLAIN_SECONDS
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self, job_id: str, queue_name: str = DEFAULT_QUEUE) -> bool:
        """Hand a ring over and return at once; False when too many wait to be sent. Never raises."""
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="doorbell", daemon=True)
                self._thread.start()
        try:
            self._unsent.put_nowait(_Ring(job_id, queue_name))
        except queue.Full:
            DOORBELL_RINGS.labels(outcome="dropped").inc()
            return False
        return True

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until every ring was sent or given up; False when that takes longer."""
        deadline = time.monotonic() + seconds
        while self._unsent.unfinished_tasks:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Send what can be sent within two seconds, and end."""
        if self._thread is not None:
            self.flush()
            with suppress(queue.Full):
                self._unsent.put_nowait(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def _send_all(self) -> None:
        while True:
            ring = self._unsent.get()
            if ring is None:
                self._disconnect()
                self._unsent.task_done()
                return
            try:
                self._send(ring)
            finally:
                self._unsent.task_done()

    def _send(self, ring: _Ring) -> None:
        try:
            sent = self._connected().send(ring.job_id, ring.queue)
        except Exception as error:  # noqa: BLE001 - client libraries raise dozens of classes; none may end this thread
            self._give_up(error)
        else:
            DOORBELL_RINGS.labels(outcome="sent" if sent else "enough").inc()

    def _connected(self) -> "Line":
        if self._line is None:
            from app.queue.line import Line  # here: a process that never rings is a tenth smaller without it

            self._line = Line(self._broker, timeout_seconds=SEND_SECONDS)
        return self._line

    def _disconnect(self) -> None:
        if self._line is not None:
            with suppress(Exception):  # a broken connection may fail to close, too
                self._line.close()
        self._line = None

    def _give_up(self, error: Exception) -> None:
        """Drop what waits to be sent: each would wait for the same timeout, and the reconciler rings again."""
        self._disconnect()
        dropped = 1
        with suppress(queue.Empty, queue.Full):
            while self._unsent.get_nowait() is not None:
                self._unsent.task_done()
                dropped += 1
            self._unsent.put_nowait(None)  # close() was called: keep its word
            self._unsent.task_done()
        DOORBELL_RINGS.labels(outcome="failed").inc(dropped)
        if time.monotonic() - self._complained >= COMPLAIN_SECONDS:
            self._complained = time.monotonic()
            why = error.detail if isinstance(error, AppError) else type(error).__name__
            _log.warning("doorbell not rung, workers will poll", error=why, dropped=dropped)
