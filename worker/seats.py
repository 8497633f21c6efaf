"""Which GPUs of a host are taken: a job gets all that it wants at once, or waits its turn. Loads no torch."""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence

from app.schemas.base import Auto
from worker.events import Interrupted
from worker.failures import too_few_devices

TICK_SECONDS = 0.2


class Seats:
    """The GPUs that the slots of a worker share.

    Where there are more slots than GPUs, several jobs share one. Whoever waits for several is not overtaken, so that
    small jobs cannot keep a large one waiting for ever, and holds none meanwhile, so that two cannot block each other.
    """

    def __init__(self, gpus: Sequence[str], slots: int) -> None:
        self._gpus = tuple(gpus)
        self._places = math.ceil(slots / len(gpus)) if gpus else 0
        self._share = max(1, len(gpus) // slots)
        self._taken = dict.fromkeys(gpus, 0)
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def on_gpus(self) -> bool:
        """Whether there are any GPUs here."""
        return bool(self._gpus)

    def count(self, wish: int | Auto) -> int:
        """Give how many devices a job may train on; for auto, the GPUs that there are for each slot.

        Raises JobFailure ``too-few-devices`` when there are fewer GPUs here. On a processor the training process knows.
        """
        if wish == "auto":
            return self._share
        if self._gpus and wish > len(self._gpus):
            raise too_few_devices(wish, len(self._gpus), "GPU")
        return wish

    def take(self, count: int, *, must_stop: Callable[[], bool], waiting: Callable[[], None]) -> list[str]:
        """Take the emptiest GPUs; none where there are none. ``waiting`` is called once if they are not free yet.

        Raises Interrupted when ``must_stop`` says so meanwhile.
        """
        if not self._gpus:
            return []
        ticket, told = object(), False
        with self._changed:
            self._waiting.append(ticket)
            try:
                while (found := self._free(count, ticket)) is None:
                    if must_stop():
                        raise Interrupted
                    if not told:
                        told = True
                        waiting()
                    self._changed.wait(TICK_SECONDS)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
            for gpu in found:
                self._taken[gpu] += 1
            return found

    def leave(self, gpus: Sequence[str]) -> None:
        """Give GPUs back."""
        with self._changed:
            for gpu in gpus:
                self._taken[gpu] -= 1
            self._changed.notify_all()

    def _free(self, count: int, ticket: object) -> list[str] | None:
        if self._waiting[0] is not ticket:
            return None
        free = [gpu for gpu in self._gpus if self._taken[gpu] < self._places]
        return sorted(free, key=lambda gpu: self._taken[gpu])[:count] if len(free) >= count else None
