"""One machine: embedded broker, migrations, one worker and the API, started, watched and drained together."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from app.api.auth import require_key_off_loopback
from app.client import Tunesmith
from app.errors import Conflict
from app.queue.address import EMBEDDED
from app.queue.embedded import EmbeddedBroker
from app.service_process import ServiceProcess
from app.settings import Settings
from app.store.migrate import upgrade

TICK_SECONDS = 0.1
START_SECONDS = 60.0
API_DRAIN_SECONDS = 15.0
WORKER_DRAIN_GRACE_SECONDS = 20.0
"""Time for a drain beyond that which a training process gets to end by itself."""
GAVE_UP = 1


class Supervisor:
    """Runs the service of ``settings`` until a signal, or until the quick start is over; speaks through ``say``."""

    def __init__(self, settings: Settings, url: str, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._url = url
        self._say = say
        self._signals = 0
        self._broker: EmbeddedBroker | None = None
        logs = settings.data_dir / "logs"
        self._worker = ServiceProcess(
            "worker", [sys.executable, "-m", "worker"], self._environment(), logs / "worker.log"
        )
        # Not by ``app api``, which would read the command line first.
        self._api = ServiceProcess("API", [sys.executable, "-m", "app.server"], self._environment(), logs / "api.log")
        self._quickstart = ServiceProcess(
            "quick start", [sys.executable, "-m", "app", "quickstart"], self._environment(), None
        )

    def run(self, *, quickstart: bool = False, once: bool = False) -> int:
        """Start everything, watch it, and drain it at the end; gives the exit status.

        0 after an orderly end, 1 when a part would not start, and with ``once`` what the quick start says.
        Raises AppError when the service cannot start.
        """
        began = time.monotonic()
        require_key_off_loopback(self._settings)
        refuse_taken_port(self._settings)
        with self._listening_to_signals():
            try:
                self._start()
                if not self._wait_until_ready():
                    return self._status()
                self._say(f"Serving on {self._url} after {time.monotonic() - began:.1f} s. Ctrl-C stops everything.")
                if quickstart:
                    self._quickstart.start()
                return self._watch(once=once)
            finally:
                self._drain()

    def _environment(self) -> dict[str, str]:
        """Give the children what this process was told on its command line, too."""
        return {
            **os.environ,
            "TUNESMITH_DATA_DIR": str(self._settings.data_dir),
            "TUNESMITH_HOST": self._settings.host,
            "TUNESMITH_PORT": str(self._settings.port),
            # The quick start is about the service that is started here, whatever other one this person works with.
            "TUNESMITH_URL": "",
        }

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        def heard(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, heard) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        settings = self._settings
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._say(f"Data   {settings.data_dir}")
        upgrade(settings.resolved_database_url)
        if settings.broker_url == EMBEDDED:
            broker = EmbeddedBroker(settings.data_dir)
            broker.start()
            self._broker = broker
        self._api.start()
        self._worker.start()
        self._say(f"Logs   {settings.data_dir / 'logs'}")

    def _wait_until_ready(self) -> bool:
        """Wait until the API answers; False on a signal, or when a part would not start."""
        deadline = time.monotonic() + START_SECONDS
        with Tunesmith(self._url, retry_seconds=0.0) as service:
            while not self._signals and self._keep_alive() and time.monotonic() < deadline:
                if service.ready():
                    return True
                time.sleep(TICK_SECONDS)
        return False

    def _watch(self, *, once: bool) -> int:
        while not self._signals and self._keep_alive():
            status = self._quickstart.ended()
            if status is not None and once:
                return status
            time.sleep(TICK_SECONDS)
        return self._status()

    def _status(self) -> int:
        return 0 if self._signals else GAVE_UP

    def _keep_alive(self) -> bool:
        """Start again what has ended; False when that is no use any more."""
        for process in (self._worker, self._api):
            status = process.ended()
            if status is not None and process.is_hopeless:
                self._say(f"The {process.name} does not start. The end of {process.log}:")
                for line in process.last_lines():
                    self._say(f"  {line}")
                return False
            if status is not None:
                how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
                self._say(f"The {process.name} ended {how}; starting it again in {process.pause:.1f} s.")
            process.start_if_due()
        return True

    def _drain(self) -> None:
        """End the API first, then the worker, which gives its job back, then the broker; a second signal hurries."""
        is_wanted = self._signals > 0
        self._signals = min(self._signals, 1)
        self._end(self._quickstart, 5.0)  # before a word is said: it may be drawing on the same terminal
        if is_wanted:
            self._say("Stopping; a job that runs goes back into the queue.")
        self._end(self._api, API_DRAIN_SECONDS)
        self._end(self._worker, self._settings.drain_grace_seconds + WORKER_DRAIN_GRACE_SECONDS)
        if self._broker is not None:
            self._broker.stop()
        self._say("Stopped. Jobs and models are kept.")

    def _end(self, process: ServiceProcess, seconds: float) -> None:
        process.ask_to_end()
        deadline = time.monotonic() + seconds
        while not process.wait(TICK_SECONDS):
            if time.monotonic() > deadline or self._signals > 1:
                self._say(f"The {process.name} did not end in time and was killed.")
                process.kill()
                return


def refuse_taken_port(settings: Settings) -> None:
    """Raise Conflict ``port-taken`` when somebody listens where the API should."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Conflict(
                f"Port {settings.port} on {settings.host} cannot be used: {(error.strerror or str(error)).lower()}.",
                "port-taken",
                f"Stop what listens there, or take another port: TUNESMITH_PORT={settings.port + 1} make run",
            ) from None
