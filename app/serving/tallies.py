"""What is counted of comparisons, in memory until it is added to what the database has."""

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from app.schemas.predictions import Prediction
from app.store import shadows
from app.store.engine import Database
from app.store.shadows import Kind, Tally


class Pair(NamedTuple):
    """Two versions whose answers are compared, and where."""

    model: str
    alias: str
    answered: int
    shadow: int


@dataclass(slots=True)
class _Count:
    texts: int = 0
    total: float = 0.0


class ShadowTallies:
    """Adds up comparisons; several processes add to the same rows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[Pair, Kind, str, str], _Count] = defaultdict(_Count)

    def compare(self, pair: Pair, answer: Prediction, other: Prediction) -> None:
        """Count the answer to one text and what the shadow would have said, which has all its scores."""
        given, would = _names(answer), _names(other)
        difference = abs(answer.score - (other.scores or {}).get(answer.label, 0.0))
        with self._lock:
            self._add(pair, "compared", total=difference)
            if given == would:
                self._add(pair, "agreed")
            if answer.labels is None:
                self._add(pair, "labels", answer.label, other.label)
                return
            for label in sorted(given | would):
                self._add(pair, "labels", label if label in given else "", label if label in would else "")

    def drop(self, pair: Pair, reason: str, texts: int) -> None:
        """Count texts that were not compared."""
        with self._lock:
            self._add(pair, "dropped", reason, texts=texts)

    def flush(self, database: Database) -> None:
        """Add what was counted to the database; what cannot be added now is kept. Raises Unavailable."""
        with self._lock:
            taken, self._counts = self._counts, defaultdict(_Count)
        if not taken:
            return
        tallies = [
            Tally(*pair, kind, one, other, count.texts, count.total)
            for (pair, kind, one, other), count in sorted(taken.items(), key=lambda item: item[0])
        ]
        try:
            database.run(lambda session: shadows.add(session, tallies))
        except BaseException:
            with self._lock:
                for key, count in taken.items():
                    self._counts[key].texts += count.texts
                    self._counts[key].total += count.total
            raise

    def _add(
        self, pair: Pair, kind: Kind, one: str = "", other: str = "", *, texts: int = 1, total: float = 0.0
    ) -> None:
        count = self._counts[pair, kind, one, other]
        count.texts += texts
        count.total += total


def _names(answer: Prediction) -> set[str]:
    return {answer.label} if answer.labels is None else set(answer.labels)
