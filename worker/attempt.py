"""One attempt at a job in its training process: hear it, watch it, stop it when it must stop, and judge its end."""

import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.logging import get_logger
from worker.budget import Budget
from worker.checkpoints import Checkpoints
from worker.events import AttemptSpec, BundleReady, Checkpointed, Event, Failed, Stepped, parse_event
from worker.lease import Lease, clock
from worker.outcome import Cause, Farewell, Outcome, judge, memory_kills
from worker.process import Process
from worker.spare import Children
from worker.tracking.audience import Audience

log = get_logger(__name__)

TICK_SECONDS = 0.2
"""How soon a cancel, a drain or a lost lease that this worker knows of is acted upon."""
STALL_STEPS = 20
"""A pause is only taken for a hang when it is also this many times the usual one between two signs of progress."""
NOTE_SECONDS = 5.0
"""How often it is written down how long the job has trained: what the loss of a worker takes off its account."""


@dataclass(frozen=True)
class Patience:
    """How long things may take, in seconds."""

    cancel_grace: float
    """Between the request to stop and the kill."""
    drain_grace: float
    """The same where the worker shuts down, and what is done is to be saved."""
    stall: float
    """Without any sign of progress."""


class Pulse:
    """Remembers how often signs of progress come, to tell a slow step from a hang."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._last = clock()
        self._gaps: deque[float] = deque(maxlen=50)

    def beat(self, *, step: bool) -> None:
        """Note a sign of progress; only steps teach what is usual."""
        now = clock()
        if step:
            self._gaps.append(now - self._last)
        self._last = now

    def gone(self) -> bool:
        """Say whether the silence is too long."""
        usual = statistics.median(self._gaps) if self._gaps else 0.0
        return clock() - self._last > max(self._stall_seconds, STALL_STEPS * usual)


class Attempt:
    """Runs one spec in one process; never touches the database itself, so that a slow one cannot delay a kill."""

    def __init__(
        self,
        spec: AttemptSpec,
        process: Process,
        lease: Lease,
        *,
        draining: threading.Event,
        patience: Patience,
        children: Children,
        checkpoints: Checkpoints,
        audience: Audience,
        budget: Budget,
    ) -> None:
        self._spec = spec
        self._process = process
        self._lease = lease
        self._draining = draining
        self._patience = patience
        self._children = children
        self._checkpoints = checkpoints
        self._audience = audience
        self._budget = budget
        self._noted_at = clock()
        self._pulse = Pulse(patience.stall)
        self._cause: Cause | None = None
        self._kill_at: float | None = None
        self._listens = False  # until it has spoken, the process may not have learnt what signals mean
        self._finishing = False
        self._error: dict[str, Any] | None = None
        self._manifest_sha256: str | None = None

    def run(self) -> Outcome:
        """Run the attempt to its end, whatever end that is, and leave no process behind."""
        kills_before = memory_kills()
        try:
            self._process.feed(self._spec)
            while not self._process.exited():
                self._hear(TICK_SECONDS)
                self._watch()
            self._process.kill()  # helpers that outlived it would keep its pipe open
            self._take(self._process.rest())
        finally:
            exit_code = self._process.bury()
            self._lease.recorder.trained(self._budget.spent)
        end = Farewell(
            exit_code=exit_code,
            cause=self._cause,
            phase=self._lease.recorder.phase,
            error=self._error,
            manifest_sha256=self._manifest_sha256,
            memory_killer_came=memory_kills() > kills_before,
            began_used_up=self._budget.began_used_up,
        )
        log.info("training_process_ended", exit_code=exit_code, cause=self._cause)
        return judge(end)

    def _hear(self, timeout: float) -> None:
        if self._process.silent:  # it has closed its pipe and not ended yet
            time.sleep(timeout)
        else:
            self._take(self._process.lines(timeout))

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            try:
                event = parse_event(line)
            except ValidationError as error:
                log.warning("event_not_understood", bytes=len(line), faults=error.error_count())
                continue
            self._react(event)

    def _react(self, event: Event) -> None:
        if isinstance(event, Stepped) and self._spec.cuda_device is not None:
            self._children.refill()  # the processor is idle now; where it trains itself, the spare waits for the end
        self._pulse.beat(step=isinstance(event, Stepped))
        self._listens = True
        self._budget.hear(event)
        if isinstance(event, Failed):
            self._error = dict(event.error)
        elif isinstance(event, BundleReady):
            self._manifest_sha256 = event.manifest_sha256
        elif isinstance(event, Checkpointed):
            self._checkpoints.keep(event)
        else:
            self._lease.recorder.hear(event)
            self._audience.hear(event)

    def _watch(self) -> None:
        """Decide whether the process must end, and see to it."""
        if self._lease.lost():
            self._end("lost", at_once=True)
        elif self._lease.cancel_requested.is_set():
            self._end("cancel")
        elif self._draining.is_set():
            self._end("drain")
        elif self._pulse.gone():
            self._end("stalled", at_once=True)
        elif self._budget.overrun():
            self._end("budget", at_once=True)
        elif self._listens and not self._finishing and self._lease.stop_requested.is_set():
            log.info("finishing_training")
            self._finishing = True
            self._process.finish()
        if self._kill_at is not None and clock() >= self._kill_at:
            self._process.kill()
        if self._budget.training and clock() - self._noted_at >= NOTE_SECONDS:
            self._noted_at = clock()
            self._lease.recorder.trained(self._budget.spent)

    def _end(self, cause: Cause, *, at_once: bool = False) -> None:
        """Ask once, or kill; a stronger reason overrides the first."""
        if self._cause == cause:
            return
        log.info("stopping_training_process", cause=cause)
        first = self._cause is None
        self._cause = cause
        grace = self._patience.drain_grace if cause == "drain" else self._patience.cancel_grace
        kill_at = clock() + (0.0 if at_once else grace)
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        if first and not at_once:
            self._process.terminate(save=cause == "drain")
