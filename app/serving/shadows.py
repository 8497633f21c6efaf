"""Shadows: a second version reads what an alias was asked, after the answer, and what it would have said is counted.

Nobody waits for it. It computes one text at a time, in a thread of its own that the system prefers last, and begins
only while nothing waits for inference and a thread rests. What cannot be done within seconds is dropped and counted.
"""

import asyncio
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.logging import get_logger
from app.schemas.predictions import Prediction
from app.serving.loaded import LoadedVersion
from app.serving.registry import Meaning
from app.serving.tallies import Pair, ShadowTallies
from app.serving.trials import Trials
from app.telemetry import SHADOW_TEXTS

log = get_logger(__name__)

PAUSE_SECONDS = 0.01
"""Between two looks whether the server has time; each text waits so long at least, so that the answer goes first."""
LONGEST_SECONDS = 5.0
MOST_CHARS = 2_000_000
"""Of all texts that wait to be compared."""
NICENESS = 10
"""Of the thread that compares: it gets a tenth of what one that answers gets where both want the same processor."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A text that was answered."""

    pair: Pair
    text: str
    answer: Prediction
    until: float


class Shadows:
    """Compares answers with those of shadows; used from one event loop."""

    def __init__(
        self,
        trials: Trials,
        tallies: ShadowTallies,
        is_idle: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self._trials = trials
        self._tallies = tallies
        self._is_idle = is_idle
        self._spawn = spawn
        self._waiting: deque[Copy] = deque()
        self._chars = 0
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow", initializer=_step_back)

    def close(self) -> None:
        """End the thread; what waits is forgotten."""
        self._is_closed = True
        self._thread.shutdown(cancel_futures=True)

    def offer(self, meaning: Meaning, version: int, texts: Sequence[str], answers: Sequence[Prediction]) -> None:
        """Take copies of texts that ``version`` has just answered, if the call is one of those to be compared."""
        shadow = None if meaning.traffic is None else meaning.traffic.shadow
        if shadow is None or random.random() * 100 >= shadow.percent:  # noqa: S311 - samples, guards nothing
            return
        if version == shadow.version:  # a canary that is the shadow too: there is nothing to compare
            return
        pair = Pair(meaning.model, meaning.alias, version, shadow.version)
        if self._trials.get(pair.model, pair.shadow) is None:
            self._drop(pair, "not-loaded", len(texts))
            return
        size = sum(map(len, texts))
        if self._chars + size > MOST_CHARS:
            self._drop(pair, "busy", len(texts))
            return
        self._chars += size
        until = time.monotonic() + LONGEST_SECONDS
        self._waiting += [Copy(pair, text, answer, until) for text, answer in zip(texts, answers, strict=True)]
        if self._task is None:
            self._task = self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(PAUSE_SECONDS)
                if self._is_closed:
                    return
                if self._is_idle():
                    await self._next()
                else:
                    self._let_go()
        finally:
            self._task = None

    def _let_go(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0].until < now:
            self._drop(self._taken().pair, "busy", 1)

    def _taken(self) -> Copy:
        copy = self._waiting.popleft()
        self._chars -= len(copy.text)
        return copy

    async def _next(self) -> None:
        copy = self._taken()
        version = self._trials.get(copy.pair.model, copy.pair.shadow)
        if version is None:
            self._drop(copy.pair, "not-loaded", 1)
            return
        version.users += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, _ask, version, copy.text)
        finally:
            version.users -= 1
        if answer is None:
            self._drop(copy.pair, "failed", 1)
            return
        SHADOW_TEXTS.labels(copy.pair.model, copy.pair.alias, str(copy.pair.shadow), "compared").inc()
        self._tallies.compare(copy.pair, copy.answer, answer)

    def _drop(self, pair: Pair, reason: str, texts: int) -> None:
        SHADOW_TEXTS.labels(pair.model, pair.alias, str(pair.shadow), reason).inc(texts)
        self._tallies.drop(pair, reason, texts)


def _ask(version: LoadedVersion, text: str) -> Prediction | None:
    """Let a shadow answer; None where it fails, which harms nobody."""
    try:
        [answer] = version.predictor.predict([text], return_all_scores=True)
    except Exception as error:  # noqa: BLE001 - a model may fail in any way, and nobody waits for this one
        log.warning("A shadow failed", model=version.model, version=version.version, error=type(error).__name__)
        return None
    return answer


def _step_back() -> None:
    """Let all other threads of this process go first, where the system can tell threads apart."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
