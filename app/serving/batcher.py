"""The batcher: texts of many callers and many models, run in small batches by a few threads, without a timer."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from app.errors import Overloaded
from app.logging import get_logger
from app.serving.decision import Logits
from app.serving.memory import trim_memory
from app.telemetry import (
    PREDICT_BATCH_ITEMS,
    PREDICT_DROPPED,
    PREDICT_PADDED_TOKENS,
    PREDICT_QUEUE_ITEMS,
    PREDICT_TOKENS,
)

log = get_logger(__name__)

Ids = NDArray[np.int64]

MAX_ITEMS = 8
TOKEN_BUDGET = 512
"""Padded tokens of one batch. On a CPU a large padded batch is slower per text than some small ones."""
NEIGHBOURS = 64
"""How far behind the oldest text others of like length are looked for."""
REST_SECONDS = 2.0
"""Pause after which the memory that batches took is given back; under load it is kept, because taking it costs time."""
BULK_PATIENCE = 1.0
"""Seconds after which texts of a long list go before single texts."""
FIRST_GUESS = 5_000.0
"""Tokens a second, until a version has been measured."""


class Runner(Protocol):
    """Whatever turns a batch of ids into logits."""

    def logits(self, ids: Sequence[Ids]) -> Logits:
        """Run one batch; (batch, labels)."""

    def rest(self) -> None:
        """Give back the memory that batches took."""


@dataclass(slots=True)
class Gauge:
    """How fast one model is here: padded tokens a second of one thread, a moving average."""

    tokens_per_second: float = FIRST_GUESS

    def note(self, tokens: int, seconds: float) -> None:
        """Take in one batch."""
        self.tokens_per_second += 0.1 * (tokens / max(seconds, 1e-6) - self.tokens_per_second)


@dataclass(slots=True, eq=False)
class Item:
    """One text that waits."""

    runner: Runner
    gauge: Gauge
    ids: Ids
    answer: "asyncio.Future[Row]"
    queued_at: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Row:
    """The logits of one text, and where its time went."""

    logits: Logits
    queue_ms: float
    infer_ms: float


class Batcher:
    """Takes texts from the event loop and answers them there; its threads share all models."""

    def __init__(self, *, threads: int, longest_wait_ms: int) -> None:
        self._longest_wait = longest_wait_ms / 1000
        self._single: deque[Item] = deque()
        self._bulk: deque[Item] = deque()
        self._wake = threading.Condition()
        self._tired: WeakSet[Runner] = WeakSet()  # one that is let go meanwhile must not be kept
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=f"infer-{index}") for index in range(threads)]
        for thread in self._threads:
            thread.start()

    async def run(self, runner: Runner, gauge: Gauge, texts: Sequence[Ids]) -> list[Row]:
        """Answer all of one caller's texts. Raises Overloaded when they would wait too long."""
        self._permit()
        loop = asyncio.get_running_loop()
        items = [Item(runner, gauge, ids, loop.create_future()) for ids in texts]
        with self._wake:
            (self._single if len(items) == 1 else self._bulk).extend(items)
            self._wake.notify(len(items))
        try:
            return await asyncio.gather(*(item.answer for item in items))
        finally:
            for item in items:  # a caller who left, or a batch that failed: the rest need not run
                item.answer.cancel()

    def estimated_wait(self) -> float:
        """Estimate the seconds that a new text would wait now."""
        with self._wake:
            waiting = [*self._single, *self._bulk]
        return sum(len(item.ids) / item.gauge.tokens_per_second for item in waiting) / len(self._threads)

    def close(self) -> None:
        """Answer what waits, then end the threads."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _permit(self) -> None:
        wait = self.estimated_wait()
        if wait <= self._longest_wait:
            return
        PREDICT_DROPPED.labels(reason="overloaded").inc()
        raise Overloaded(
            f"About {wait:.1f} s of work is waiting, more than this service accepts.",
            "overloaded",
            "Try again after the seconds that Retry-After names.",
            headers={"Retry-After": str(max(1, math.ceil(wait - self._longest_wait)))},
            extra={"queue_ms": round(wait * 1000)},
        )

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            if not batch:
                self._rest()
                continue
            started = time.perf_counter()
            padded = len(batch) * max(len(item.ids) for item in batch)
            try:
                logits = batch[0].runner.logits([item.ids for item in batch])
            except Exception as error:
                log.exception("A batch failed", texts=len(batch))
                _tell(batch, error)
                continue
            seconds = time.perf_counter() - started
            batch[0].gauge.note(padded, seconds)
            PREDICT_BATCH_ITEMS.observe(len(batch))
            PREDICT_PADDED_TOKENS.inc(padded)
            PREDICT_TOKENS.inc(sum(len(item.ids) for item in batch))
            _tell(
                batch,
                [Row(row, (started - i.queued_at) * 1e3, seconds * 1e3) for i, row in zip(batch, logits, strict=True)],
            )

    def _next(self) -> list[Item] | None:
        """Wait for work and take a batch: the oldest text, and of its model the nearest in length.

        Nothing to do for a while after some work is an empty batch, the end is None.
        """
        with self._wake:
            while True:
                lane = self._lane()
                if lane is not None:
                    batch = self._take(lane)
                    PREDICT_QUEUE_ITEMS.set(len(self._single) + len(self._bulk))
                    if batch:
                        self._tired.add(batch[0].runner)
                        return batch
                elif self._closed:
                    return None
                elif not self._wake.wait(REST_SECONDS if self._tired else None) and self._tired:
                    return []

    def _rest(self) -> None:
        with self._wake:
            tired, self._tired = self._tired, WeakSet()
        for runner in list(tired):
            try:
                runner.rest()
            except Exception:
                log.exception("Memory could not be given back")
        trim_memory()

    def _lane(self) -> deque[Item] | None:
        if self._bulk and (not self._single or time.perf_counter() - self._bulk[0].queued_at > BULK_PATIENCE):
            return self._bulk
        return self._single or None

    def _take(self, lane: deque[Item]) -> list[Item]:
        while lane and lane[0].answer.done():  # the caller left
            lane.popleft()
            PREDICT_DROPPED.labels(reason="cancelled").inc()
        if not lane:
            return []
        oldest = lane[0]
        near = [item for item in list(lane)[:NEIGHBOURS] if item.runner is oldest.runner and not item.answer.done()]
        near.sort(key=lambda item: (item is not oldest, abs(len(item.ids) - len(oldest.ids))))
        room = min(MAX_ITEMS, math.ceil(len(lane) / len(self._threads)))
        batch: list[Item] = []
        for item in near[:room]:
            longest = max(len(other.ids) for other in [*batch, item])
            if batch and longest * (len(batch) + 1) > TOKEN_BUDGET:
                break
            batch.append(item)
        for item in batch:
            lane.remove(item)
        return batch


def _tell(batch: Sequence[Item], outcome: Sequence[Row] | Exception) -> None:
    """Wake the callers, one call into each event loop."""
    loop = batch[0].answer.get_loop()

    def resolve() -> None:
        for index, item in enumerate(batch):
            if item.answer.done():
                continue
            if isinstance(outcome, Exception):
                item.answer.set_exception(outcome)
            else:
                item.answer.set_result(outcome[index])

    if not loop.is_closed():
        loop.call_soon_threadsafe(resolve)
