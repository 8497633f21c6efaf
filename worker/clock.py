"""How long each phase of an attempt took."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from app.schemas.jobs import Phase
from app.schemas.usage import Breakdown, Usage


class PhaseClock:
    """Seconds by phase; one phase runs at a time."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._phase: Phase | None = None
        self._since = self._began
        self._seconds: dict[str, float] = {}
        self._asides = {"start": 0.0, "verify": 0.0}
        self._held = self._began

    def start(self, phase: Phase) -> None:
        """End the running phase and begin another."""
        self._close()
        self._phase = phase

    def hold_gpus(self) -> None:
        """Note that the job's GPUs are used from now on."""
        self._held = time.perf_counter()

    def starting(self) -> AbstractContextManager[None]:
        """Count what happens meanwhile as the start of processes, within the phase that runs, ``preparing``."""
        return self._aside("start")

    def verifying(self) -> AbstractContextManager[None]:
        """Count what happens meanwhile as verification, within the phase that runs, ``exporting``."""
        return self._aside("verify")

    def usage(self, *, gpus: int, peak_memory_mb: float, padding_fraction: float | None) -> Usage:
        """Say what the attempt cost up to now; each GPU counts from when it was first used."""
        self._close()
        seconds = dict(self._seconds)
        now = time.perf_counter()
        wall = now - self._began
        return Usage(
            wall_seconds=round(wall, 3),
            train_seconds=round(seconds.get("training", 0.0), 3),
            gpu_seconds=round(gpus * (now - self._held), 3) if gpus else None,
            peak_memory_mb=round(peak_memory_mb, 1),
            padding_fraction=None if padding_fraction is None else round(padding_fraction, 4),
            phases={phase: round(spent, 3) for phase, spent in seconds.items()},
            breakdown=self._breakdown(seconds, wall),
        )

    def _breakdown(self, seconds: dict[str, float], wall: float) -> Breakdown:
        train, evaluate = (round(seconds.get(phase, 0.0), 3) for phase in ("training", "evaluating"))
        start, verify = (round(self._asides[part], 3) for part in ("start", "verify"))
        export = round(seconds.get("exporting", 0.0) - verify, 3)
        prepare = round(wall - start - train - evaluate - export - verify, 3)  # and what little lies between the phases
        return Breakdown(start=start, prepare=prepare, train=train, evaluate=evaluate, export=export, verify=verify)

    @contextmanager
    def _aside(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._asides[part] += time.perf_counter() - began

    def _close(self) -> None:
        now = time.perf_counter()
        if self._phase is not None:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since = now
