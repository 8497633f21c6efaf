"""The budget of a job as its worker counts it: all seconds of training, of lost attempts too.

The training process ends by itself at its limit, with its best weights. This is for the one that never looks.
"""

import math
from collections.abc import Callable

from app.schemas.hyperparameters import Hyperparameters
from worker.events import Event, PhaseStarted, Stepped, Stopped
from worker.lease import clock

PAUSES = 2.0
"""How many times the longest pause between two steps, an evaluation perhaps, a process may take to end."""


class Budget:
    """Counts while an attempt trains; ``spent`` are the seconds of the attempts before.

    On several ``gpus`` a second of training is as many of ``max_gpu_seconds``; for earlier attempts too, which had the
    same number unless the job asks for as many as there are.
    """

    def __init__(
        self,
        wishes: Hyperparameters,
        *,
        gpus: int,
        spent: float,
        grace: float,
        clock: Callable[[], float] = clock,
    ) -> None:
        on_gpus = wishes.max_gpu_seconds / gpus if gpus and wishes.max_gpu_seconds is not None else None
        limits = [wishes.max_train_seconds, on_gpus]
        self.limit = min((limit for limit in limits if limit is not None), default=math.inf)
        """Seconds; infinite without one."""
        self._spent = spent
        self._grace = grace
        self._clock = clock
        self._began: float | None = None
        self._ending = False
        self._step = 0
        self._stepped_at = 0.0
        self._longest_pause = 0.0
        self.began_used_up = self.used_up()
        """Whether this attempt had nothing left to train when it began."""

    def hear(self, event: Event) -> None:
        """Learn from the process what it is doing."""
        now = self._clock()
        match event:
            case PhaseStarted():
                self._stop(now)
                if event.phase == "training":
                    self._began = self._stepped_at = now
            case Stepped() if event.step > self._step:
                self._longest_pause = max(self._longest_pause, now - self._stepped_at)
                self._step, self._stepped_at = event.step, now
            case Stopped():
                self._ending = True

    @property
    def training(self) -> bool:
        """Whether seconds are being counted."""
        return self._began is not None

    @property
    def spent(self) -> float:
        """Give the seconds of training so far, in all attempts."""
        return self._spent + (0.0 if self._began is None else self._clock() - self._began)

    def used_up(self) -> bool:
        """Say whether there is nothing left to train."""
        return self.spent >= self.limit

    def overrun(self) -> bool:
        """Say whether the process trains on for longer than anyone who looks at the clock could."""
        since = max(self.limit, self._spent)  # what earlier attempts took is no fault of this process
        patience = self._grace + PAUSES * self._longest_pause
        return self.training and not self._ending and self.spent > since + patience

    def _stop(self, now: float) -> None:
        if self._began is not None:
            self._spent += now - self._began
        self._began = None
