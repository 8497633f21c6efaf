"""``python -m worker``: takes jobs and trains each in a process of its own; this one never loads torch."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from app import telemetry
from app.artifacts.store import store_of
from app.errors import AppError, Unavailable
from app.logging import configure, get_logger
from app.queue.celery import check_versions
from app.queue.embedded import broker_url
from app.queue.enqueue import Doorbell
from app.queue.names import QUEUES
from app.queue.rescue import Reconciler
from app.settings import Settings, get_settings
from app.store import revision
from app.store.engine import Database
from worker import hardware
from worker.child import DEFAULT_PIPELINE
from worker.listener import DeafWatch, Listener
from worker.process import conceal
from worker.supervisor import Supervisor

log = get_logger("worker")

WATCH_SECONDS = 0.25
STOP_SECONDS = 0.5
MIGRATION_PATIENCE_SECONDS = 30.0


class Worker:
    """All parts of a worker process, started and stopped in the right order."""

    def __init__(
        self, settings: Settings, queues: Sequence[str] | None = None, *, pipeline: str = DEFAULT_PIPELINE
    ) -> None:
        self._settings = settings
        self._stop = False
        self._database = Database(settings.resolved_database_url)
        artifacts = store_of(settings)
        self._doorbell = Doorbell(settings)
        self._reconciler = Reconciler(self._database, self._doorbell, settings)
        self._hardware = hardware.detect()
        queues = tuple(queues or self._hardware.queues)
        self._supervisor = Supervisor(
            settings, self._database, artifacts, self._hardware, queues=queues, pipeline=pipeline
        )
        self._listener = Listener(lambda: broker_url(settings), queues, self._supervisor.ring)

    def run(self) -> None:
        """Work until a signal says stop. Raises AppError when the worker cannot start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._wait_for_database()
            if not self._stop:
                self._work()
        finally:
            self._doorbell.close()
            self._database.close()

    def _on_signal(self, _number: int, _frame: object) -> None:
        # And nothing else. An Event would not do: setting it takes a lock that the interrupted thread may hold.
        self._stop = True

    def _work(self) -> None:
        if self._settings.worker_metrics_port is not None:
            telemetry.serve(self._settings.host, self._settings.worker_metrics_port)
        # The slots poll SQL from here on; that they run must not depend on the broker.
        self._supervisor.start()
        self._reconciler.start()
        self._listener.start()
        log.info(
            "worker_ready",
            worker=self._supervisor.id,
            device=self._hardware.name,
            slots=self._supervisor.slots,
            queues=list(self._supervisor.queues),
        )
        self._watch()
        self._end_others(0.0)  # they do so while the slots drain
        self._supervisor.drain()
        self._end_others(STOP_SECONDS)
        log.info("worker_stopped", worker=self._supervisor.id)

    def _end_others(self, timeout: float) -> None:
        self._listener.stop(timeout)
        self._reconciler.stop(timeout)

    def _watch(self) -> None:
        """Wait for a signal; meanwhile give a deaf listener new ears."""
        watch = DeafWatch(self._listener)
        while not self._stop:
            time.sleep(WATCH_SECONDS)
            if watch.look(self._supervisor.claimed_by_poll):
                self._supervisor.claimed_by_poll = 0

    def _wait_for_database(self) -> None:
        """Wait for the database as long as it takes, for its migration half a minute. Raises Unavailable."""
        patience, said = MIGRATION_PATIENCE_SECONDS, ""
        while not self._stop:
            try:
                if revision.is_current(self._settings.resolved_database_url):
                    return
                problem = not_migrated()
                patience -= WATCH_SECONDS
            except Unavailable as error:
                problem = error
            if patience <= 0:
                raise problem
            if said != problem.code:
                log.info("waiting_for_database", detail=problem.detail, remedy=problem.remedy)
                said = problem.code
            time.sleep(WATCH_SECONDS)


def not_migrated() -> Unavailable:
    """Give the error of a database that does not fit this program."""
    return Unavailable(
        "The database does not have the tables of this release.",
        "database-not-migrated",
        "Run python -m app migrate with the same settings, then start the worker again.",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker; 0 after an orderly end, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument(
        "--queue",
        action="append",
        dest="queues",
        choices=QUEUES,
        help="take jobs from this queue; may be repeated. Without it: default, and gpu or cpu as this machine is.",
    )
    options = parser.parse_args(arguments)
    conceal()  # the processes that read foreign files run as the same user
    settings = get_settings()
    configure(settings)
    try:
        check_versions()
        Worker(settings, options.queues).run()
    except (AppError, OSError) as error:
        detail, remedy = (error.detail, error.remedy) if isinstance(error, AppError) else (str(error), None)
        log.error("worker_cannot_start", detail=detail, remedy=remedy)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
