"""The lease on a batch prediction: renewed while it lasts, and given up before another worker may begin."""

import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from app.errors import AppError, Unavailable
from app.logging import get_logger
from app.settings import Settings
from app.store import batches
from app.store.engine import Database
from app.store.errands import ErrandClaim
from worker.lease import FENCE, clock

log = get_logger(__name__)

RETRY_SECONDS = 0.5


class Held:
    """Our right to one attempt at a batch."""

    def __init__(self, database: Database, claim: ErrandClaim, settings: Settings, claimed_at: float) -> None:
        self.claim = claim
        self._database = database
        self._settings = settings
        self._renewed_at = claimed_at

    def keep(self) -> bool:
        """Renew in time; False when the batch may be ours no more, or its client does not want it any more."""
        if clock() - self._renewed_at < self._settings.heartbeat_seconds:
            return True
        asked_at, lease = clock(), self._settings.lease_seconds
        try:
            beat = self._database.run(lambda session: batches.beat(session, self.claim, lease_seconds=lease))
        except AppError as error:
            log.warning("lease_not_renewed", code=error.code)
            return not self._fallen()
        if beat.held:
            self._renewed_at = asked_at
        return beat.held and not beat.cancel_requested

    def settle(self, write: Callable[[Session], bool]) -> bool:
        """Write, while the database is away again and again until the lease has run out; False: nothing was written."""
        while True:
            try:
                return self._database.run(write)
            except Unavailable as error:
                if self._fallen():
                    raise
                log.warning("settling_again", code=error.code)
                time.sleep(RETRY_SECONDS)

    def _fallen(self) -> bool:
        return clock() - self._renewed_at > FENCE * self._settings.lease_seconds
