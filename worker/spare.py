"""Training processes on hand: one is started ahead, has imported torch and waits, so that a job need not."""

import os
import threading
from collections.abc import Mapping

from app.logging import get_logger
from worker.process import Process, Spawner, child_environment
from worker.workspace import Workspace

log = get_logger(__name__)


class Children:
    """Hands out one fresh process an attempt; a used one is never used again."""

    def __init__(
        self,
        spawner: Spawner,
        workspace: Workspace,
        *,
        pipeline: str,
        spare: bool,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._spawner = spawner
        self._workspace = workspace
        self._pipeline = pipeline
        self._keeps_spare = spare
        self._environment = environment
        self._lock = threading.Lock()
        self._spare: Process | None = None

    def take(self) -> Process:
        """Give the spare if it lives, else start a process now; it imports while the job's data is brought."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and not spare.exited():
            return spare
        if spare is not None:
            log.warning("spare_died", exit_code=spare.bury())
        return self._start()

    def refill(self) -> None:
        """Start the next spare, unless there is one."""
        with self._lock:
            if self._keeps_spare and self._spare is None:
                try:
                    self._spare = self._start()
                except OSError:  # a spare is a luxury; the job at hand goes on without
                    log.warning("spare_not_started", exc_info=True)

    def close(self) -> None:
        """End the spare."""
        with self._lock:
            spare, self._spare, self._keeps_spare = self._spare, None, False
        if spare is not None:
            spare.bury()

    def _start(self) -> Process:
        folder = self._workspace.new_folder()
        return self._spawner.start(
            ["-m", "worker.child", "--warm", "--pipeline", self._pipeline],
            folder=folder,
            environment=child_environment(self._environment, folder),
        )
