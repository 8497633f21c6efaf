"""Ending training before its time, with what it has: because a client asked for it, or because a budget is used up."""

import time
from collections.abc import Callable

from app.schemas.hyperparameters import Hyperparameters
from worker.events import StopReason


class Finish:
    """Says whether training is to end, and why; counts the seconds that it was given in all attempts together."""

    def __init__(
        self,
        wishes: Hyperparameters,
        *,
        gpus: int,
        asked: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits: list[tuple[StopReason, float | None]] = [("max_train_seconds", wishes.max_train_seconds)]
        if gpus and wishes.max_gpu_seconds is not None:
            self._limits.append(("max_gpu_seconds", wishes.max_gpu_seconds / gpus))
        self._asked = asked
        self._clock = clock
        self._began = clock()

    def __call__(self) -> StopReason | None:
        """Give the reason to end, if there is one."""
        if self._asked():
            return "stopped"
        spent = self.spent
        return next((reason for reason, limit in self._limits if limit is not None and spent >= limit), None)

    @property
    def spent(self) -> float:
        """Give the seconds of training so far."""
        return self._clock() - self._began

    def begin(self, spent: float = 0.0) -> None:
        """Start to count; ``spent`` are the seconds that went into what training goes on from."""
        self._began = self._clock() - spent
