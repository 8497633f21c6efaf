"""The embedded broker: a private Valkey that lives and dies with this process, found by others through one file."""

import fcntl
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import Conflict, Unavailable
from app.logging import get_logger
from app.queue.address import EMBEDDED, INFO_FILE, Address, password, remove_socket, socket_path
from app.queue.valkey import ServerConfig, find_binary, spawn
from app.settings import Settings

START_SECONDS, STOP_SECONDS, LOCK_SECONDS = 10.0, 5.0, 5.0
MAX_RESTART_SECONDS = 5.0

_log = get_logger(__name__)


class EmbeddedBroker:
    """Owner of the server of one data folder; it is started again when it ends by itself."""

    def __init__(self, data_dir: Path) -> None:
        self._info = data_dir / INFO_FILE
        self._folder = data_dir / "broker"
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._lock: IO[bytes] | None = None
        self._config: ServerConfig | None = None

    @property
    def url(self) -> str:
        """Give the URL for Celery; only a started broker has one."""
        if self._config is None:
            raise _not_running()
        return f"redis+socket://:{self._config.password}@{self._config.socket}?virtual_host=0"

    @property
    def pid(self) -> int | None:
        """Give the server's process id, None when it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises Conflict ``broker-already-running`` when another process owns the folder, Unavailable ``broker-missing``
        or ``broker-not-started``.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stopping.clear()
        binary = find_binary()
        self._lock = lock = self._take_lock()
        self._config = config = ServerConfig(self._folder, socket_path(self._folder), password(self._folder / "secret"))
        # This thread starts the server and stays until it has ended: see valkey.spawn.
        self._thread = threading.Thread(
            target=self._keep_alive, args=(binary, config, lock.fileno()), name="embedded-broker", daemon=True
        )
        self._thread.start()
        try:
            self._wait_until_ready(config)
        except Unavailable:
            self.stop()
            raise
        Address(self.url, str(config.socket), os.getpid()).write(self._info)

    def stop(self) -> None:
        """End the server, by force if need be; stopping twice is fine."""
        self._stopping.set()
        if self._thread is not None:
            self._info.unlink(missing_ok=True)
            self._end_process()
            self._thread.join()
        if self._config is not None:
            remove_socket(self._config.socket, self._folder)
        if self._lock is not None:
            self._lock.close()
        self._thread = self._process = self._lock = self._config = None

    def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    def _take_lock(self) -> IO[bytes]:
        """Wait for the folder: the server of an owner that was killed holds the lock too, until it has ended itself."""
        lock = (self._folder / "lock").open("ab")
        for last_try in (False, True):
            deadline = time.monotonic() + LOCK_SECONDS
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                time.sleep(0.02)
            if last_try or not self._shut_down_orphan():
                break
        lock.close()
        raise Conflict(
            f"Another process runs the embedded broker of {self._folder.parent}.",
            "broker-already-running",
            "Stop it, or use another TUNESMITH_DATA_DIR.",
        )

    def _shut_down_orphan(self) -> bool:
        """End a server whose owner is gone, where the system could not do it; False when the owner lives."""
        address = Address.read(self._info)
        if address is None or address.owner_lives():
            return False
        with suppress(redis.RedisError, OSError):
            _client(address.socket, password(self._folder / "secret")).shutdown(nosave=True)
        return True

    def _keep_alive(self, binary: Path, config: ServerConfig, lock: int) -> None:
        delay = 0.1
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_once(binary, config, lock)
            if self._stopping.is_set():
                return
            _log.warning("embedded broker ended, starting it again", exit_code=code)
            if code > 0 and time.monotonic() - began < 1.0:
                # It refused to start. It holds doorbells only: rather an empty broker than none for a damaged file.
                shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
            self._stopping.wait(delay)
            delay = min(delay * 2, MAX_RESTART_SECONDS)

    def _run_once(self, binary: Path, config: ServerConfig, lock: int) -> int:
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = process = spawn(binary, config, log=log, keep_open=lock)
        if self._stopping.is_set():  # stop() came before there was a process to end
            process.kill()
        return process.wait()

    def _wait_until_ready(self, config: ServerConfig) -> None:
        client = _client(str(config.socket), config.password)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(redis.RedisError, OSError):
                if client.ping():
                    client.close()
                    return
            time.sleep(0.01)
        raise Unavailable(
            "The embedded broker did not start.", "broker-not-started", f"Read {self._folder / 'valkey.log'}."
        )


def _client(path: str, secret: str) -> redis.Redis:
    """Make a client that answers at once when nobody listens: by itself it would try again for seconds."""
    return redis.Redis(unix_socket_path=path, password=secret, socket_timeout=1, retry=Retry(NoBackoff(), 0))


def broker_url(settings: Settings) -> str:
    """Give the broker's URL; for ``embedded://`` that of the server which another process keeps.

    Raises Unavailable ``broker-not-running``.
    """
    if settings.broker_url != EMBEDDED:
        return settings.broker_url
    address = Address.read(settings.data_dir / INFO_FILE)
    if address is None or not _answers(address.socket):
        raise _not_running()
    return address.url


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _not_running() -> Unavailable:
    return Unavailable(
        "The embedded broker does not run.",
        "broker-not-running",
        "Start python -m app up with the same TUNESMITH_DATA_DIR, or set TUNESMITH_BROKER_URL.",
    )
