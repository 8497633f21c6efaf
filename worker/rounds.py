"""A thread of a worker that looks for one kind of errand and carries out one at a time, beside the slots that train."""

import random
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.errors import AppError
from app.logging import get_logger

log = get_logger(__name__)

ClaimT = TypeVar("ClaimT")


class Rounds(Generic[ClaimT]):
    """Claims and works until the worker drains; whatever goes wrong, the next round comes."""

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[], ClaimT | None],
        work: Callable[[ClaimT], None],
        poll_seconds: float,
        draining: threading.Event,
    ) -> None:
        self._name = name
        self._claim = claim
        self._work = work
        self._poll_seconds = poll_seconds
        self._draining = draining
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def _serve(self) -> None:
        while not self._draining.is_set():
            try:
                claim = self._claim()
                if claim is not None:
                    self._work(claim)
                    continue
            except AppError as error:
                log.warning("errand_not_settled", kind=self._name, code=error.code, detail=error.detail)
            except Exception:  # the thread must outlive any fault: nobody would start it again
                log.exception("errand_fault", kind=self._name)
            self._draining.wait(self._poll_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
