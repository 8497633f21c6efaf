"""Texts that come alone: computed by all threads together, where that is sooner than by one.

A second session does it, as the number of a session's threads cannot be changed. It takes the weights once more, so it
is opened only after some texts have come alone, only where the limit of memory leaves room, and closed in the next
pause or when texts come together for some time. Which way is sooner depends on the model and on what else the machine
does, so the calls themselves tell.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.logging import get_logger

log = get_logger(__name__)

OPENS_AFTER = 16
"""Texts that come alone, without a pause, before the session is opened."""
CLOSES_AFTER = 64
"""Batches, one after the other, that were no text alone, before it is closed."""
TRIES_EVERY = 16
"""One of so many texts goes the way that is not the sooner one by now: it may have become so."""
WORTH = 0.9
"""All threads together must be so much sooner: they also take the processor from whoever comes next."""

SessionT = TypeVar("SessionT")


@dataclass(slots=True)
class Pace:
    """Seconds a token, a moving average; 0 until there is one."""

    seconds: float = 0.0

    def note(self, tokens: int, seconds: float) -> None:
        """Take in one text."""
        each = seconds / tokens
        self.seconds += 0.2 * (each - self.seconds) if self.seconds else each


class Lone(Generic[SessionT]):
    """The second session of one version; safe to share between threads."""

    def __init__(self, open_session: Callable[[], SessionT], *, threads: int, bytes: int) -> None:
        self.threads = threads
        self.bytes = bytes
        """What is reserved for the session: its weights. Buffers of its calls come on top, as with any session."""
        self.by_one, self.by_all = Pace(), Pace()
        self._open_session = open_session
        self._lock = threading.Lock()
        self._session: SessionT | None = None
        self._is_allowed = False
        self._texts = 0
        """That came alone since the last pause."""
        self._batches = 0
        """That were no text alone, since the last one that was."""

    @property
    def is_allowed(self) -> bool:
        """Whether there is room for the session."""
        return self._is_allowed

    @property
    def is_open(self) -> bool:
        """Whether the session is there now."""
        return self._session is not None

    def allow(self) -> None:
        """Let the session be opened: its bytes are reserved."""
        self._is_allowed = True

    def forbid(self) -> None:
        """Give the session up: its bytes are needed elsewhere."""
        self._is_allowed = False
        self.close()

    def close(self) -> None:
        """Let the session go; a call that uses it ends first."""
        with self._lock:
            self._session, self._texts, self._batches = None, 0, 0

    def crowd(self) -> bool:
        """Take note of a batch that is no text alone; says whether the session has been closed, as so many came."""
        with self._lock:
            self._batches += 1
            if self._session is None or self._batches < CLOSES_AFTER:
                return False
            self._session, self._texts = None, 0
            return True

    def session(self) -> SessionT | None:
        """Give the session for a text that has come alone, None where one thread is to compute it."""
        with self._lock:
            self._texts, self._batches = self._texts + 1, 0
            if self._session is not None:
                wins = self.by_all.seconds < WORTH * self.by_one.seconds
                return self._session if wins != (self._texts % TRIES_EVERY == 0) else None
            if self._texts == OPENS_AFTER and self._is_allowed:
                threading.Thread(target=self._open, name="open-lone").start()
            return None

    def note(self, tokens: int, seconds: float, *, by_all: bool) -> None:
        """Take in how long a text that came alone took."""
        with self._lock:
            (self.by_all if by_all else self.by_one).note(tokens, seconds)

    def _open(self) -> None:
        try:
            session = self._open_session()
        except Exception:
            log.exception("The session for texts that come alone cannot be opened; one thread goes on computing them")
            return
        with self._lock:
            if self._is_allowed and self._texts:  # else a pause has begun meanwhile
                self._session = session
