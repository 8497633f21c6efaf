"""Whether the threads begin together, and how long they wait for it.

A call fetches all weights from memory, however few its texts, and a thread that has just answered some callers finds
few others waiting. Callers who ask again at once are therefore waited for, for about as long as the event loop takes to
answer them and to read what they ask next. Threads that begin together with like batches end together, and find in the
shared cache what the first of them has fetched.
"""

from collections import deque
from dataclasses import dataclass, field

AROUND_SECONDS = 0.4e-3
"""What a call takes around the model; calls take it one after the other, all on the event loop."""
PATIENCE = 1.25
"""How many times that callers may take to ask again. With twice it, calls that come at random looked like theirs."""
MOST_AROUND = 0.75
"""Share of the time of a batch that the event loop may take for the texts of all: the threads rest meanwhile."""
ENOUGH_CAME_BACK = 0.8
"""Share of callers who must have asked again in time for the next ones to be waited for."""
SHARE_OF_ONE = 0.02
"""What one caller counts for in that share."""


@dataclass(slots=True)
class Answered:
    """Callers who were answered together, and are expected back until then."""

    until: float
    callers: int


@dataclass(slots=True)
class Rhythm:
    """Who is expected back; whoever uses it holds a lock. Times are those of ``time.perf_counter``."""

    threads: int
    computing: int = 0
    """Texts that are computed now."""
    came_back: float = 0.0
    """Share of those expected who came in time, a moving average."""
    until: float = 0.0
    """When those expected are not waited for any longer."""
    _answered: deque[Answered] = field(default_factory=deque)

    @property
    def expected(self) -> int:
        """Count the callers who were just answered and have not come back yet."""
        return sum(each.callers for each in self._answered)

    def begin(self, texts: int) -> None:
        """Take note that a thread begins with a batch."""
        self.computing += texts

    def end(self, texts: int, answered: int, waiting: int, now: float) -> None:
        """Take note that it has ended, and that it answered callers with one text each."""
        self.computing -= texts
        self._give_up(now)
        if answered:
            in_sight = waiting + self.expected + answered + self.computing
            self.until = now + PATIENCE * AROUND_SECONDS * in_sight
            self._answered.append(Answered(self.until, answered))

    def come(self, now: float) -> None:
        """Take note of a caller with one text."""
        self._give_up(now)
        if self._answered:
            self._answered[0].callers -= 1
            if not self._answered[0].callers:
                self._answered.popleft()
            self.came_back += SHARE_OF_ONE * (1.0 - self.came_back)

    def is_kept(self, waiting: int, most: int, text_seconds: float) -> bool:
        """Tell whether the threads begin together: with so many texts in sight, of which a batch has ``most``.

        A text takes a thread ``text_seconds``.
        """
        in_sight = waiting + self.expected + self.computing
        return (
            self.came_back >= ENOUGH_CAME_BACK
            and 2 * self.threads <= in_sight <= most * self.threads
            and self.threads * AROUND_SECONDS <= MOST_AROUND * text_seconds
        )

    def pause(self, now: float) -> float:
        """Give the seconds for which those who compute and those expected are still waited for; 0: no longer."""
        self._give_up(now)
        return max(0.0, self.until - now) if self.computing or self.expected else 0.0

    def _give_up(self, now: float) -> None:
        while self._answered and self._answered[0].until < now:
            self.came_back *= (1.0 - SHARE_OF_ONE) ** self._answered.popleft().callers
