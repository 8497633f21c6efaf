"""The batcher: texts of many callers and many models, run in small batches by a few threads, without a timer."""

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from weakref import WeakSet

from app.errors import DeadlineExceeded, Overloaded
from app.logging import get_logger
from app.processors import Share, drawn_to, kept_to
from app.serving.decision import Logits
from app.serving.memory import trim_memory
from app.serving.returning import Returning
from app.serving.waiting import Call, Gauge, Ids, Item, Runner, Served, Waiting
from app.telemetry import PREDICT_QUEUE_ITEMS, PREDICT_QUEUE_SECONDS, count_dropped, meters_of

log = get_logger(__name__)

OVERLOADED = "overloaded"
REST_SECONDS = 2.0
"""Pause after which the memory that batches took is given back; under load it is kept, because taking it costs time."""
BUSY_SHARES = 1.3
"""What a thread takes of what waits while all others compute, counted in equal shares; while one of them rests it is
one. Those who compute come back to a line that has grown meanwhile, but not so much that they need nothing of this one.
With 8 callers on two threads 1.3 was up to 4 % faster than 1.0 and 1.5, and a tenth faster than 1.75."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that has been run."""

    logits: Logits
    started: float
    infer_ms: float
    tokens: int
    padded: int
    """Tokens, padding included."""


class Batcher:
    """Takes texts from the event loop and answers them there; its threads share all models."""

    def __init__(self, *, shares: Sequence[Share], longest_wait_ms: int, most_items: int = 2048) -> None:
        """Begin with a thread for each share of the processors."""
        self.threads = len(shares)
        self._longest_wait = longest_wait_ms / 1000
        self._most_items = most_items
        self._waiting = Waiting()
        self._lock = threading.Lock()
        self._returning = Returning(len(shares))
        self._until = [0.0] * len(shares)
        """Until when each thread waits for the callers whom it answered last to ask again; 0 if it does not."""
        self._gauges: list[Gauge | None] = [None] * len(shares)
        """Of the version that answered them."""
        self._last_until = 0.0
        """The latest of all these times."""
        self._shares = shares
        self._calls = [threading.Condition(self._lock) for _ in shares]
        """By which each thread is called."""
        self._resting: set[int] = set()
        """Threads with nothing to do, by their numbers."""
        self._coming = 0
        """Threads that have been called and are not there yet."""
        self._loop_thread = 0
        """That of the event loop, by its native number."""
        self._tired: WeakSet[Runner] = WeakSet()  # one that is let go meanwhile must not be kept
        self._closed = False
        self._crew = [threading.Thread(target=self._work, args=each, name="infer") for each in enumerate(shares)]
        for thread in self._crew:
            thread.start()
        PREDICT_QUEUE_ITEMS.set_function(lambda: len(self._waiting))
        PREDICT_QUEUE_SECONDS.set_function(self.estimated_wait)

    def __len__(self) -> int:
        return len(self._waiting)

    async def run(self, version: Served, texts: Sequence[Ids], *, deadline: float | None = None) -> Call:
        """Answer all of one caller's texts, until ``deadline`` by ``time.perf_counter``.

        Raises Overloaded when they would wait too long, DeadlineExceeded.
        """
        self.permit(len(texts))
        loop, self._loop_thread = asyncio.get_running_loop(), threading.get_native_id()
        call = Call(version, loop.create_future(), [None] * len(texts), left=len(texts))
        now = time.perf_counter()
        timer = None if deadline is None else loop.call_later(max(0.0, deadline - now), _expire, call)
        with self._lock:
            self._waiting.add(call, texts, now)
            if len(texts) == 1:
                self._returning.come(now)
            if self._resting:
                self._call(len(texts))
        try:
            await call.answer
        except BaseException as error:
            # Whatever of it still waits is let go: nobody is there for the answer.
            call.answer.cancel()
            count_dropped(_reason(error), call.left, version.model, version.version)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return call

    @property
    def is_idle(self) -> bool:
        """Whether a thread rests, and no text waits or is about to."""
        return not len(self._waiting) and bool(self._resting) and self._last_until < time.perf_counter()

    @property
    def awaits_callers(self) -> bool:
        """Whether a thread waits for the callers whom it answered last to ask again, or did so a moment ago."""
        return time.perf_counter() < self._last_until + REST_SECONDS

    def estimated_wait(self) -> float:
        """Estimate the seconds that a new text would wait now."""
        return self._waiting.seconds / self.threads

    def permit(self, texts: int = 1) -> None:
        """Raise Overloaded when so many more texts would wait too long, or there are too many already."""
        wait, items = self.estimated_wait(), len(self._waiting)
        if wait <= self._longest_wait and items + texts <= max(self._most_items, texts):
            return
        count_dropped(OVERLOADED, texts)
        raise Overloaded(
            f"{items} texts are waiting, about {wait:.2f} s of work: more than this service accepts.",
            "overloaded",
            "Try again after the seconds that Retry-After names.",
            headers={"Retry-After": str(max(1, math.ceil(wait - self._longest_wait)))},
            extra={"queue_ms": round(wait * 1000)},
        )

    def close(self) -> None:
        """Answer what waits, then end the threads."""
        with self._lock:
            self._closed = True
            self._call(self.threads)
        for thread in self._crew:
            thread.join()

    def _work(self, number: int, share: Share) -> None:
        with kept_to(share):
            while (taken := self._next(number)) is not None:
                batch, alone = taken
                if batch:
                    self._answer(number, batch, alone=alone)
                else:
                    self._rest()
                del batch, taken  # a version that is let go while this thread waits must not be kept

    def _next(self, number: int) -> tuple[list[Item], bool] | None:
        """Wait for work and take a batch; an empty one is a pause after some work, None the end.

        With it comes whether it is a text that comes alone: none other waits or is expected, and all others rest.
        """
        with self._lock:
            while True:
                now = time.perf_counter()
                pause = self._pause(number, now)
                if not pause and (batch := self._take(number, now)):
                    self._tired.add(batch[0].call.version.predictor)
                    others_rest = 0 < len(self._resting) == self.threads - 1 and self._last_until < now
                    return batch, len(batch) == 1 and others_rest and not len(self._waiting)
                if self._closed:
                    return None
                self._resting.add(number)
                self._calls[number].wait(pause or (REST_SECONDS if self._tired else None))
                if number not in self._resting:
                    self._coming -= 1
                    continue
                self._resting.remove(number)  # nobody has called
                if not pause and self._tired:
                    return [], False

    def _call(self, threads: int) -> None:
        """Call some of the threads that rest; for texts that come one by one always the same, whose caches are warm."""
        now = time.perf_counter()
        ready = (number for number in sorted(self._resting) if not self._pause(number, now))
        for number in islice(ready, threads):
            self._resting.remove(number)
            self._coming += 1
            self._calls[number].notify()

    def _pause(self, number: int, now: float) -> float:
        """Give the seconds for which a thread still waits for callers to come back; 0: it does not."""
        if self._closed or self._until[number] <= now:
            return 0.0
        waiting = len(self._waiting)
        is_for_others = waiting and self._waiting.next_gauge is not self._gauges[number]
        is_there = 0 < self._returning.fair_part(waiting, now) <= waiting
        return 0.0 if is_for_others or is_there else self._until[number] - now

    def _take(self, number: int, now: float) -> list[Item]:
        """Take a batch of what waits."""
        was_waiting, self._until[number] = self._until[number] > 0.0, 0.0
        if was_waiting:
            part = self._returning.fair_part(len(self._waiting), now)
        else:
            shares = 1.0 if self._resting or self._coming else BUSY_SHARES
            part = math.ceil(len(self._waiting) * shares / self.threads)
        batch = self._waiting.take(part)
        self._returning.begin(_callers(batch))
        if len(self._waiting):
            self._call(1)
        return batch

    def _answer(self, number: int, batch: Sequence[Item], *, alone: bool) -> None:
        if not alone:
            with self._loop_at(self._resting.copy()):
                pass  # it leaves the processors of this thread
        outcome, gauge = _run(batch, alone=alone), batch[0].call.version.gauge
        with self._lock:  # before callers are told, as they may ask again at once
            until = self._returning.end(_callers(batch), len(self._waiting), gauge, time.perf_counter())
            self._until[number], self._gauges[number] = until, gauge
            self._last_until = max(self._last_until, until)
            free = self._resting | {number} if until or self._resting else set()
        with self._loop_at(free):
            _tell(batch, outcome)

    def _loop_at(self, threads: set[int]) -> AbstractContextManager[None]:
        """Have the event loop on the processors of threads that do not compute: it would wait for those that do."""
        return drawn_to(self._loop_thread, Share().union(*(self._shares[number] for number in threads)))

    def _rest(self) -> None:
        with self._lock:
            tired, self._tired = self._tired, WeakSet()
        for runner in list(tired):
            try:
                runner.rest()
            except Exception:
                log.exception("Memory could not be given back")
        trim_memory()


def _run(batch: Sequence[Item], *, alone: bool) -> Done | Exception:
    version, started = batch[0].call.version, time.perf_counter()
    padded = len(batch) * max(len(item.ids) for item in batch)
    try:
        logits = version.predictor.logits([item.ids for item in batch], alone=alone)
    except Exception as error:
        log.exception("A batch failed", texts=len(batch))
        return error
    seconds = time.perf_counter() - started
    tokens = sum(len(item.ids) for item in batch)
    if not alone:  # what several threads computed says nothing of the speed of one
        version.gauge.note(len(batch), tokens, padded, seconds)
    return Done(logits, started, seconds * 1e3, tokens, padded)


def _callers(batch: Sequence[Item]) -> int:
    """Count those who ask about one text."""
    return sum(len(item.call.rows) == 1 for item in batch)


def _tell(batch: Sequence[Item], outcome: Done | Exception) -> None:
    """Wake the callers, one call into the event loop for all of them."""
    loop = batch[0].call.answer.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_resolve, batch, outcome)


def _resolve(batch: Sequence[Item], outcome: Done | Exception) -> None:
    if isinstance(outcome, Done):
        version = batch[0].call.version
        meters_of(version.model, version.version).batch(len(batch), outcome.tokens, outcome.padded)
    for place, item in enumerate(batch):
        call = item.call
        if call.answer.done():
            continue
        if isinstance(outcome, Exception):
            call.answer.set_exception(outcome)
            continue
        call.rows[item.index] = outcome.logits[place]
        call.queue_ms = max(call.queue_ms, (outcome.started - item.queued_at) * 1e3)
        call.infer_ms = max(call.infer_ms, outcome.infer_ms)
        call.left -= 1
        if not call.left:
            call.answer.set_result(None)


def _expire(call: Call) -> None:
    if not call.answer.done():
        call.answer.set_exception(
            DeadlineExceeded(
                "The answer was not ready by the deadline of the request.",
                "deadline-exceeded",
                "Allow more milliseconds in X-Deadline-Ms, or send fewer texts at once.",
            )
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "expired" if isinstance(error, DeadlineExceeded) else "failed"
