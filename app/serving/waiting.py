"""The texts that wait for inference: who is next, and who goes with whom.

Callers with waiting texts share the tokens that are computed, a list like a few single texts however long it is. So a
long list moves on steadily, and a single text that comes later overtakes most of it.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.serving.decision import Logits
from app.serving.policy import FIRST_GUESS, BatchPolicy

Ids = NDArray[np.int64]

NEIGHBOURS = 64
"""How far behind the next text others of like length are looked for, where padding is computed like any token."""
WORTH_PADDING = 0.5
"""Share of what a call costs by itself that may go into padding when a text joins a batch instead; not all of it, as a
text of a nearer length may come. In a simulation of 8 to 64 callers half was best or nearly so."""
MOST_SHARES = 4
"""How many single texts a list counts for."""


class Runner(Protocol):
    """Whatever turns a batch of ids into logits."""

    def logits(self, ids: Sequence[Ids], *, alone: bool = False) -> Logits:
        """Run one batch; (batch, labels). ``alone``: it is a single text and nothing else is to be computed."""

    def rest(self) -> None:
        """Give back the memory that batches took."""


@dataclass(slots=True)
class Gauge:
    """How fast one version is here, and what its batches may be."""

    tokens_per_second: float = FIRST_GUESS
    """Tokens a second of one thread, padding counted for what it costs, a moving average."""
    text_seconds: float = 0.0
    """What a text takes one thread, a moving average; 0 until there is one."""
    policy: BatchPolicy = field(default_factory=BatchPolicy)

    def begin(self, policy: BatchPolicy) -> None:
        """Take what was measured when the version was loaded."""
        self.policy, self.tokens_per_second = policy, policy.tokens_per_second

    def note(self, texts: int, tokens: int, padded: int, seconds: float) -> None:
        """Take in one batch of so many texts and tokens, ``padded`` with its padding."""
        self.text_seconds += (0.1 if self.text_seconds else 1.0) * (seconds / texts - self.text_seconds)
        computed = self.policy.computed(tokens, padded)
        self.tokens_per_second += 0.1 * (computed / max(seconds, 1e-6) - self.tokens_per_second)


class Served(Protocol):
    """A version that is loaded."""

    @property
    def model(self) -> str:
        """Name its model."""

    @property
    def version(self) -> int:
        """Give its number."""

    @property
    def predictor(self) -> Runner:
        """Give what runs it."""

    @property
    def gauge(self) -> Gauge:
        """Give how fast it is."""


@dataclass(slots=True, eq=False)
class Call:
    """The texts of one caller."""

    version: Served
    answer: "asyncio.Future[None]"
    rows: list[Logits | None]
    """The logits of each text, once they are there."""
    left: int
    """Texts without an answer."""
    queue_ms: float = 0.0
    """Of the text that waited longest."""
    infer_ms: float = 0.0
    """Of the text that took longest."""

    @property
    def logits(self) -> list[Logits]:
        """Give the logits of all texts; only once the answer is there."""
        return [row for row in self.rows if row is not None]


@dataclass(slots=True, eq=False)
class Item:
    """One text that waits."""

    call: Call
    index: int
    ids: Ids
    seconds: float
    """What it will take, as far as one can tell."""
    queued_at: float


@dataclass(slots=True)
class Waiting:
    """The waiting texts in their order; whoever uses it holds a lock."""

    seconds: float = 0.0
    """What all of it will take one thread."""
    _order: list[tuple[float, int, Item]] = field(default_factory=list)
    """Sorted by turn, then by arrival."""
    _callers: Counter[Call] = field(default_factory=Counter)
    """How many texts of each caller wait."""
    _shares: int = 0
    """Of all callers together."""
    _turn: float = 0.0
    """How many tokens each share has been given by now; whoever comes begins here."""
    _arrivals: int = 0

    def __len__(self) -> int:
        return len(self._order)

    @property
    def next_gauge(self) -> Gauge:
        """Give how fast the version of the next text is. Raises IndexError when none waits."""
        return self._order[0][2].call.version.gauge

    def add(self, call: Call, texts: Sequence[Ids], now: float) -> None:
        """Let a caller's texts wait."""
        speed, turn, share = call.version.gauge.tokens_per_second, self._turn, _share(call)
        for index, ids in enumerate(texts):
            item = Item(call, index, ids, len(ids) / speed, now)
            self._arrivals += 1
            insort(self._order, (turn, self._arrivals, item))
            turn += len(ids) / share
            self.seconds += item.seconds
        self._callers[call] = len(texts)
        self._shares += share

    def take(self, most: int) -> list[Item]:
        """Take a batch: the next text and, of its version, those of the nearest lengths; empty if nobody waits.

        It has ``most`` texts at most, as the other threads want work too. Texts whose callers have left are let go.
        """
        while self._order:
            ahead = self._order[:NEIGHBOURS]
            gone = {arrival for _, arrival, item in ahead if item.call.answer.done()}
            wanted = [(arrival, item) for _, arrival, item in ahead if arrival not in gone]
            shares = self._shares
            chosen = self._choose(wanted, most) if wanted else {}
            self._order[:NEIGHBOURS] = [entry for entry in ahead if entry[1] not in gone and entry[1] not in chosen]
            for _, arrival, item in ahead:
                if arrival in gone or arrival in chosen:
                    self._forget(item)
            if chosen:
                batch = list(chosen.values())
                self._turn += sum(len(item.ids) for item in batch) / shares
                return batch
        return []

    def _choose(self, wanted: Sequence[tuple[int, Item]], most: int) -> dict[int, Item]:
        (_, first), *others = wanted
        version, length = first.call.version, len(first.ids)
        policy = version.gauge.policy
        room = min(policy.items, most)
        near = [(arrival, item) for arrival, item in others if item.call.version is version]
        # The less padding costs, the nearer to their turn texts are taken: nobody waits for others of like length.
        near = near[: room - 1 + round(policy.padding_price * NEIGHBOURS)]
        near.sort(key=lambda pair: abs(len(pair[1].ids) - length))
        chosen = dict(wanted[:1])
        longest = tokens = length
        for arrival, item in near[: room - 1]:
            padding = longest * len(chosen) - tokens
            longest, tokens = max(longest, len(item.ids)), tokens + len(item.ids)
            padded = longest * (len(chosen) + 1)
            more = policy.padding_price * (padded - tokens - padding)
            if policy.computed(tokens, padded) > policy.tokens or more > WORTH_PADDING * policy.call_tokens:
                break
            chosen[arrival] = item
        return chosen

    def _forget(self, item: Item) -> None:
        self._callers[item.call] -= 1
        if not self._callers[item.call]:
            del self._callers[item.call]
            self._shares -= _share(item.call)
        self.seconds = self.seconds - item.seconds if self._callers else 0.0  # no error of rounding stays


def _share(call: Call) -> int:
    return min(MOST_SHARES, len(call.rows))
