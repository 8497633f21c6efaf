"""The ear of a worker: a Celery consumer in a thread, started again whenever it dies; the poll covers for it meanwhile.

It is a thread, not the process, because a message that is no JSON ends a Celery worker, and jobs must not notice.
"""

import threading
import time
from collections.abc import Callable, Sequence

from celery import Celery
from celery.app import trace
from celery.worker import WorkController, state

from app.errors import AppError
from app.logging import get_logger
from app.queue.celery import make_celery
from app.telemetry import LISTENER_RESTARTS
from worker import tasks

log = get_logger(__name__)

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
HEALTHY_SECONDS = 60.0
"""After running this long, an end is news and not a series."""
DEAF_AFTER = 3
"""Jobs found by polling, one after another, that a working doorbell would have announced."""
DEAF_PAUSE_SECONDS = 120.0


class Listener:
    """Consumes doorbells and passes them on."""

    def __init__(self, broker_url: Callable[[], str], queues: Sequence[str], ring: Callable[[], None]) -> None:
        self._broker_url = broker_url
        self._queues = queues
        self._ring = ring
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self.started = 0
        """How often a consumer was started."""

    def start(self) -> None:
        """Begin to listen; a broker that is away is waited for."""
        self._thread.start()

    def restart(self) -> None:
        """Start a new consumer in place of one that seems deaf."""
        state.should_stop = 0

    def stop(self, timeout: float) -> None:
        """Listen no more; wait up to ``timeout`` seconds for the consumer's end."""
        self._stopping.set()
        self.restart()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _listen(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._consume()
            except AppError as error:
                log.info("broker_not_there_yet", code=error.code, detail=error.detail)
            except Exception:  # the worker lives on without its ear; it polls
                log.exception("listener_failed")
            pause = SHORTEST_PAUSE_SECONDS if time.monotonic() - began > HEALTHY_SECONDS else pause * 2
            self._stopping.wait(min(pause, LONGEST_PAUSE_SECONDS))

    def _consume(self) -> None:
        """Run one consumer to its end. Raises Unavailable when there is no broker to speak of."""
        celery = make_celery(self._broker_url(), self._queues)
        tasks.register(celery, self._ring)
        state.should_stop = None
        if not self._stopping.is_set():
            self.started += 1
            consumer(celery).start()
            log.info("listener_ended")


def consumer(celery: Celery) -> WorkController:
    """Make a consumer without the chatter between workers, whose pub/sub connection is where reconnecting fails."""
    # The pool's threads find their tasks through celery's globals; a process has one listener, so that is no harm.
    trace.setup_worker_optimizations(celery)
    return WorkController(app=celery, without_gossip=True, without_mingle=True, without_heartbeat=True)


class DeafWatch:
    """Gives a listener new ears when jobs come that it did not hear of; asked now and then."""

    def __init__(self, listener: Listener, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._quiet_until = clock() + DEAF_PAUSE_SECONDS

    def look(self, found_by_poll: int) -> bool:
        """Say whether the listener was started anew, since polls alone have found so many jobs one after another."""
        if found_by_poll < DEAF_AFTER or self._clock() < self._quiet_until:
            return False
        log.warning("listener_seems_deaf", claimed_by_poll=found_by_poll)
        LISTENER_RESTARTS.inc()
        self._listener.restart()
        self._quiet_until = self._clock() + DEAF_PAUSE_SECONDS
        return True
