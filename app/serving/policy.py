"""How a version is best run in batches on this machine: measured at its load, because no rule fits all hardware."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.serving.decision import Logits
from app.text.tokenizer import TextEncoder

Ids = NDArray[np.int64]

SHAPES = (
    *((items, 32) for items in (1, 2, 4, 8)),
    *((items, 16) for items in (1, 2, 4, 8)),
    *((items, 64) for items in (1, 2, 4)),
)
"""Texts and tokens of each, in the order in which they are tried: most texts that are asked about are about so long."""
UNEVEN = (32, 8, 8, 8)
"""Tokens of texts that are tried together, to see what padding costs; second of all, as batches depend most on that."""
SECONDS = 0.3
"""What measuring may compute; of slow models only the smallest batches are tried."""
MOST_TRIES = 5
"""Of each batch, while there is time."""
NEAR_BEST = 0.97
"""A smaller batch that is nearly as fast is better: it makes nobody wait."""

FIRST_GUESS = 5_000.0
"""Tokens a second of one thread, until a version has been measured."""


class Measurable(Protocol):
    """What is measured."""

    encoder: TextEncoder

    def logits(self, ids: Sequence[Ids]) -> Logits:
        """Run one batch; (batch, labels)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One shape of batch that was tried."""

    items: int
    length: int
    milliseconds: float
    """The fastest of all tries, and the way to an inference thread and back."""

    @property
    def tokens(self) -> int:
        """Count the tokens."""
        return self.items * self.length

    @property
    def tokens_per_second(self) -> float:
        """Give the speed."""
        return 1e3 * self.tokens / max(self.milliseconds, 1e-3)


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """What one batch may be."""

    items: int = 8
    """Most texts."""
    tokens: int = 512
    """Most tokens, padding included for what it costs; a single text may have more."""
    tokens_per_second: float = FIRST_GUESS
    """How fast one thread is with such batches."""
    call_tokens: float = 16.0
    """What a call costs beside its tokens, counted in tokens."""
    padding_price: float = 1.0
    """What a token of padding costs, counted in tokens: 1 where it is computed like any other, 0 where it is not."""
    trials: tuple[Trial, ...] = ()
    """What it was chosen from."""

    def computed(self, tokens: int, padded: int) -> float:
        """Count what a batch of so many tokens, ``padded`` with its padding, costs in tokens."""
        return tokens + self.padding_price * (padded - tokens)


def measure(
    version: Measurable, *, seconds: float = SECONDS, clock: Callable[[], float] = time.thread_time
) -> BatchPolicy:
    """Try batches of several shapes for so long, and choose.

    The clock is that of this thread, which computes alone: what else keeps the cores busy while a version is loaded
    should not decide how it is run from then on.
    """
    settings = version.encoder.settings
    most = settings.max_length
    first, *others = (tuple([min(length, most)] * items) for items, length in SHAPES)
    plan = list(dict.fromkeys([first, UNEVEN, *others] if most >= max(UNEVEN) else [first, *others]))
    best: dict[tuple[int, ...], float] = {}
    end, pace = clock() + seconds, 0.0  # seconds a token, of texts of one length
    way = way_to_a_thread()
    for _ in range(MOST_TRIES):
        for lengths in plan:
            if best and clock() + pace * len(lengths) * max(lengths) > end:
                continue  # a smaller one may still be had
            batch = [np.full(length, settings.pad_token_id, dtype=np.int64) for length in lengths]
            started = clock()
            version.logits(batch)
            spent = clock() - started
            best[lengths] = min(spent + way, best.get(lengths, spent + way))
            pace = pace if lengths == UNEVEN else spent / sum(lengths)
    unlike = best.pop(UNEVEN, math.inf)
    return choose({(len(lengths), lengths[0]): spent for lengths, spent in best.items()}, unlike)


def way_to_a_thread() -> float:
    """Time the way to an inference thread and back, which every text saves that shares a batch."""
    spent = []
    with ThreadPoolExecutor(1) as thread:
        for _ in range(20):
            started = time.perf_counter()
            thread.submit(int).result()
            spent.append(time.perf_counter() - started)
    return min(spent)


def choose(seconds: dict[tuple[int, int], float], unlike: float = math.inf) -> BatchPolicy:
    """Choose the smallest budget of tokens that is nearly as fast as the best; ``seconds`` by items and length.

    ``unlike`` are those of texts as long as UNEVEN; infinite where they were not tried.
    """
    trials = tuple(Trial(items, length, 1e3 * spent) for (items, length), spent in sorted(seconds.items()))
    # Lengths are compared each with itself: those that were tried with fewest texts would spoil the others' figures.
    lengths = {trial.length for trial in trials}
    top = {length: max(one.tokens_per_second for one in trials if one.length == length) for length in lengths}

    def share(budget: int) -> float:
        """Tell how much of the best speed a budget leaves, on average over the lengths."""
        fit = [one for one in trials if one.tokens <= budget or one.items == 1]
        shares = [max(one.tokens_per_second for one in fit if one.length == length) / top[length] for length in lengths]
        return sum(shares) / len(shares)

    tokens = min(budget for budget in {one.tokens for one in trials} if share(budget) >= NEAR_BEST)
    used = [one for one in trials if one.tokens <= tokens]
    fastest = max(one.tokens_per_second for one in used)
    items = max(_fewest(used, length) for length in lengths)
    start, slope = _line(trials)
    return BatchPolicy(items, tokens, fastest, start / slope, _padding_price(1e3 * unlike, start, slope), trials)


def _line(trials: Sequence[Trial]) -> tuple[float, float]:
    """Fit milliseconds = start + slope * tokens."""
    if len({one.tokens for one in trials}) < 2:
        return 0.0, trials[0].milliseconds / trials[0].tokens
    slope, start = np.polyfit([one.tokens for one in trials], [one.milliseconds for one in trials], 1)
    return max(0.0, float(start)), max(float(slope), 1e-6)


def _padding_price(unlike: float, start: float, slope: float) -> float:
    """Tell where the milliseconds of uneven texts lie between those of their tokens and those of their rectangle."""
    padding = len(UNEVEN) * max(UNEVEN) - sum(UNEVEN)
    return min(1.0, max(0.0, (unlike - start - slope * sum(UNEVEN)) / (slope * padding)))


def _fewest(trials: Sequence[Trial], length: int) -> int:
    """Tell how many texts of a length are nearly as fast as any number of them that was tried."""
    alike = [one for one in trials if one.length == length]
    top = max((one.tokens_per_second for one in alike), default=0.0)
    return min((one.items for one in alike if one.tokens_per_second >= NEAR_BEST * top), default=1)
