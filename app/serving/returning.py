"""Callers who ask again as soon as they are answered, and how long a thread waits for them.

A call fetches all weights from memory, however few its texts, and a thread that has just answered some callers finds
few others waiting. Where callers ask again at once it therefore waits until its fair part of all their texts is there,
for about as long as the event loop takes to answer them and to read what they ask next. Meanwhile the event loop has
the processor of that thread, and the other threads compute.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from app.serving.waiting import Gauge

AROUND_SECONDS = 0.4e-3
"""What a call takes around the model; calls take it one after the other, all on the event loop."""
PATIENCE = 1.25
"""How many times that callers may take to ask again, for each text that waits, is computed, or is expected. With much
more, calls that come at random look like theirs."""
PART_OF_BATCH = 0.4
"""Share of what a thread's part of those texts takes that they may take, if that is more."""
MOST_AROUND = 0.75
"""Share of its time that the event loop may be busy with them: beyond it callers wait for it, not for a thread."""
ENOUGH_CAME_BACK = 0.8
"""Share of callers who must have asked again in time for the next ones to be waited for."""
SHARE_OF_ONE = 0.02
"""What one caller counts for in that share."""
CHEAP_PADDING = 0.5
"""What a token of padding may cost for texts of all lengths to share a batch."""


@dataclass(slots=True, eq=False)
class Answered:
    """Callers who were answered together, and are expected back until then."""

    until: float
    callers: int


@dataclass(slots=True)
class Returning:
    """Who is expected back; whoever uses it holds a lock. Times are those of ``time.perf_counter``.

    A caller is one who asks about a single text: those who send lists are expected by nobody.
    """

    threads: int
    came_back: float = 0.0
    """Share of those expected who came in time, a moving average."""
    _computed: int = 0
    """Callers whose texts are computed now."""
    _answered: deque[Answered] = field(default_factory=deque)

    def begin(self, callers: int) -> None:
        """Take note that a thread begins to compute the texts of so many."""
        self._computed += callers

    def end(self, callers: int, waiting: int, gauge: Gauge, now: float) -> float:
        """Take note that it is about to answer them, with the model of ``gauge``, while so many other texts wait.

        Gives the time until when it should wait for them to ask again; 0 if it should not.
        """
        self._give_up(now)
        in_sight = self._in_sight(waiting)
        self._computed -= callers
        if not callers:
            return 0.0
        until = now + in_sight * max(PATIENCE * AROUND_SECONDS, PART_OF_BATCH * gauge.text_seconds / self.threads)
        self._answered.append(Answered(until, callers))
        return until if self._is_worth_a_wait(in_sight, gauge) else 0.0

    def come(self, now: float) -> None:
        """Take note of a caller who asks."""
        self._give_up(now)
        if self._answered:
            self._answered[0].callers -= 1
            if not self._answered[0].callers:
                self._answered.popleft()
            self.came_back += SHARE_OF_ONE * (1.0 - self.came_back)

    def fair_part(self, waiting: int, now: float) -> int:
        """Tell how many texts a thread has when all have as many, of those that wait, are computed, or are expected."""
        self._give_up(now)
        return math.ceil(self._in_sight(waiting) / self.threads)

    def _is_worth_a_wait(self, in_sight: int, gauge: Gauge) -> bool:
        most = gauge.policy.items if gauge.policy.padding_price < CHEAP_PADDING else 0
        return (
            self.came_back >= ENOUGH_CAME_BACK
            and 2 * self.threads <= in_sight <= most * self.threads
            and self.threads * AROUND_SECONDS <= MOST_AROUND * gauge.text_seconds
        )

    def _in_sight(self, waiting: int) -> int:
        return waiting + self._computed + sum(each.callers for each in self._answered)

    def _give_up(self, now: float) -> None:
        for late in [each for each in self._answered if each.until < now]:
            self._answered.remove(late)
            self.came_back *= (1.0 - SHARE_OF_ONE) ** late.callers
