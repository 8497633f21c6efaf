"""Versions that are tried beside those that aliases name: loaded in the background, never waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from app.errors import AppError
from app.logging import get_logger
from app.schemas.predictions import Prefer
from app.serving.loaded import LoadedVersion

log = get_logger(__name__)

AGAIN_SECONDS = 1.0
"""Pause between two tries to load a version; the pool refuses one that is at fault for longer, without any work."""

Number = tuple[str, int]
"""A model and one of its versions."""
AtHand = Callable[[str, int, Prefer | None], tuple[LoadedVersion | None, bool]]
"""Gives a version if it is loaded, and whether it is so in the format that the call prefers."""
Load = Callable[[str, int, Prefer | None], Awaitable[LoadedVersion]]


@dataclass(slots=True)
class Trial:
    """How it stands with one version."""

    loading: "asyncio.Task[None] | None" = None
    refused: str | None = None
    """The code of the reason why it could not be loaded the last time."""
    again_at: float = 0.0


class Trials:
    """Loads versions that calls can do without; used from one event loop."""

    def __init__(
        self, at_hand: AtHand, load: Load, spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
    ) -> None:
        self._at_hand = at_hand
        self._load = load
        self._spawn = spawn
        self._trials: dict[Number, Trial] = {}

    def get(self, model: str, version: int, prefer: Prefer | None = None) -> LoadedVersion | None:
        """Give a version if it is loaded; else begin to load it, and give None."""
        found, is_preferred = self._at_hand(model, version, prefer)
        if not is_preferred:
            self._begin(model, version, prefer)
        return found

    def refusal(self, model: str, version: int) -> str | None:
        """Give the code of the reason why a version cannot be loaded; None: it can, or was not tried yet."""
        trial = self._trials.get((model, version))
        return None if trial is None else trial.refused

    def keep(self, wanted: Collection[Number]) -> None:
        """Forget all versions but these, which are still to be tried."""
        for number in self._trials.keys() - wanted:
            del self._trials[number]

    def _begin(self, model: str, version: int, prefer: Prefer | None) -> None:
        trial = self._trials.setdefault((model, version), Trial())
        if trial.loading is None and time.monotonic() >= trial.again_at:
            trial.loading = self._spawn(self._try(model, version, prefer, trial))

    async def _try(self, model: str, version: int, prefer: Prefer | None, trial: Trial) -> None:
        try:
            await self._load(model, version, prefer)
        except AppError as error:
            if trial.refused != error.code:
                log.error(
                    "A version cannot be tried; the alias goes on without it",
                    model=model,
                    version=version,
                    code=error.code,
                )
            trial.refused = error.code
        else:
            trial.refused = None
        finally:
            trial.loading = None
            trial.again_at = time.monotonic() + AGAIN_SECONDS
