"""The lease on an errand: renewed while it lasts, and given up before another worker may begin."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from sqlalchemy.orm import Session

from app.errors import AppError, Unavailable
from app.logging import get_logger
from app.settings import Settings
from app.store.engine import Database
from app.store.errands import Beat, ErrandClaim
from worker.lease import FENCE, clock
from worker.stillness import of_this_thread

log = get_logger(__name__)

RETRY_SECONDS = 0.5
RENEWING_SECONDS = 1.0


ClaimT = TypeVar("ClaimT", bound=ErrandClaim)


class Renew(Protocol):
    """The verb of the store that prolongs the lease of one kind of errand."""

    def __call__(self, session: Session, claim: ErrandClaim, *, lease_seconds: float) -> Beat:
        """Prolong it."""


class Held(Generic[ClaimT]):
    """Our right to one attempt at an errand."""

    def __init__(self, database: Database, claim: ClaimT, renew: Renew, settings: Settings, claimed_at: float) -> None:
        self.claim = claim
        self._renew = renew
        self._database = database
        self._settings = settings
        self._renewed_at = claimed_at

    def keep(self) -> bool:
        """Renew in time; False when the errand may be ours no more, or its client does not want it any more."""
        if clock() - self._renewed_at < self._settings.heartbeat_seconds:
            return True
        asked_at, lease = clock(), self._settings.lease_seconds
        try:
            beat = self._database.run(lambda session: self._renew(session, self.claim, lease_seconds=lease))
        except AppError as error:
            log.warning("lease_not_renewed", code=error.code)
            return not self.fallen()
        if beat.held:
            self._renewed_at = asked_at
        return beat.held and not beat.cancel_requested

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew from a thread while this one is in a call that takes long, but not while it is stuck in one."""
        done, stillness = threading.Event(), of_this_thread()

        def renew() -> None:
            while not done.wait(min(RENEWING_SECONDS, self._settings.heartbeat_seconds)):
                if stillness.seconds() >= self._settings.stall_seconds:
                    log.error("errand_stuck")
                    return
                if not self.keep():
                    return

        thread = threading.Thread(target=renew, name="errand-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def settle(self, write: Callable[[Session], bool]) -> bool:
        """Write, while the database is away again and again until the lease has run out; False: nothing was written."""
        while True:
            try:
                return self._database.run(write)
            except Unavailable as error:
                if self.fallen():
                    raise
                log.warning("settling_again", code=error.code)
                time.sleep(RETRY_SECONDS)

    def fallen(self) -> bool:
        """Say whether it was silent for so long that another worker may soon have the errand."""
        return clock() - self._renewed_at > FENCE * self._settings.lease_seconds
