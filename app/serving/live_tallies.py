"""What versions are asked and answer, counted in memory until it is added to what the database has."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from app.schemas.histograms import NO_LABEL, confidence_bin, token_bin
from app.schemas.predictions import Prediction
from app.serving.registry import Meaning
from app.store import live
from app.store.engine import Database
from app.store.live import Kind, Tally

_Key = tuple[str, int, datetime, Kind, str]


class LiveTallies:
    """Counts labels, confidence and lengths by the hour; several processes add to the same rows. It sees no text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[_Key] = Counter()

    def note(self, meaning: Meaning, version: int, answers: Sequence[Prediction]) -> None:
        """Count a sample of answers."""
        wish = None if meaning.traffic is None else meaning.traffic.drift
        if wish is None:
            return
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        with self._lock:
            for answer in answers:
                if random.random() * 100 < wish.percent:  # noqa: S311 - samples, guards nothing
                    self._add(meaning.model, version, hour, answer)

    def _add(self, model: str, version: int, hour: datetime, answer: Prediction) -> None:
        given = [answer.label] if answer.labels is None else answer.labels or [NO_LABEL]
        self._counts[model, version, hour, "texts", ""] += 1
        self._counts[model, version, hour, "confidence", str(confidence_bin(answer.score))] += 1
        self._counts[model, version, hour, "tokens", str(token_bin(answer.tokens))] += 1
        for label in given:
            self._counts[model, version, hour, "labels", label] += 1

    def flush(self, database: Database) -> None:
        """Add what was counted to the database; what cannot be added now is kept. Raises Unavailable."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        if not taken:
            return
        tallies = [Tally(*key, texts) for key, texts in sorted(taken.items())]
        try:
            database.run(lambda session: live.add(session, tallies))
        except BaseException:
            with self._lock:
                self._counts.update(taken)
            raise
