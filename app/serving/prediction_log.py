"""Answers on their way into the log: kept in memory for seconds, within bounds, then written by another thread."""

import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from app.ids import new_id
from app.schemas.predictions import Prediction
from app.schemas.traffic import Log
from app.serving.registry import Meaning
from app.store import predictions
from app.store.engine import Database
from app.telemetry import PREDICTIONS_LOGGED
from app.text.redact import redact

MOST_ROWS, MOST_CHARS = 10_000, 10_000_000
"""What is kept while the database is away; more is dropped and counted."""
WRITTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer."""

    model: str
    alias: str
    version: int
    at: datetime
    answer: Prediction
    text: str | None
    wish: Log

    @property
    def size(self) -> int:
        """Count its characters."""
        return len(self.text or "")

    def row(self) -> dict[str, Any]:
        """Make what is stored of it."""
        text = self.text
        return {
            "id": self.answer.id,
            "model_name": self.model,
            "alias": self.alias,
            "version": self.version,
            "at": self.at,
            "label": self.answer.label,
            "labels": self.answer.labels,
            "score": self.answer.score,
            "tokens": self.answer.tokens,
            "text": redact(text) if text is not None and self.wish.redact else text,
            "expires_at": self.at + timedelta(days=self.wish.retention_days),
        }


class PredictionLog:
    """Takes answers from the event loop and writes them from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._chars = 0

    def note(self, meaning: Meaning, version: int, texts: Sequence[str], answers: Sequence[Prediction]) -> None:
        """Take a sample of answers and give each of them its id; one that finds no room has none."""
        wish = None if meaning.traffic is None else meaning.traffic.log
        if wish is None:
            return
        for text, answer in zip(texts, answers, strict=True):
            if random.random() * 100 < wish.percent:  # noqa: S311 - samples, guards nothing
                kept = text if wish.keep_text else None
                self._add(Entry(meaning.model, meaning.alias, version, datetime.now(UTC), answer, kept, wish))

    def _add(self, entry: Entry) -> None:
        with self._lock:
            has_room = len(self._waiting) < MOST_ROWS and self._chars + entry.size <= MOST_CHARS
            if has_room:
                entry.answer.id = new_id("pred")
                self._waiting.append(entry)
                self._chars += entry.size
        if not has_room:
            PREDICTIONS_LOGGED.labels(entry.model, entry.alias, "dropped").inc()

    def _first(self) -> list[Entry]:
        with self._lock:
            return list(islice(self._waiting, WRITTEN_AT_ONCE))

    def flush(self, database: Database) -> None:
        """Write what waits; what cannot be written now is kept. One thread at a time. Raises Unavailable."""
        while entries := self._first():
            rows = [entry.row() for entry in entries]
            database.run(lambda session, rows=rows: predictions.insert(session, rows))  # type: ignore[misc]
            with self._lock:
                for _ in entries:
                    self._chars -= self._waiting.popleft().size
            for entry in entries:
                PREDICTIONS_LOGGED.labels(entry.model, entry.alias, "written").inc()
