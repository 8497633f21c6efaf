"""Writes what this process has counted to the database every few seconds; no answer ever waits for that."""

import threading
from collections.abc import Sequence
from typing import Protocol

from app.errors import AppError
from app.logging import get_logger
from app.store.engine import Database

log = get_logger(__name__)

FLUSH_SECONDS = 2.0


class Book(Protocol):
    """Something that is kept in memory until it is written."""

    def flush(self, database: Database) -> None:
        """Write what there is; keep it where that fails. Raises AppError."""


class Flusher:
    """A thread that writes books every ``seconds``, and once more at its end."""

    def __init__(self, database: Database, books: Sequence[Book], seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._books = books
        self._seconds = seconds
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write once more and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def flush(self) -> None:
        """Write now, after whoever writes already; what cannot be written stays for the next time."""
        with self._writing:
            for book in self._books:
                self._flush(book)

    def _flush(self, book: Book) -> None:
        try:
            book.flush(self._database)
        except AppError as error:
            log.warning("What answers left could not be written", code=error.code)
        except Exception:  # the thread must outlive any fault: nobody would start it again
            log.exception("What answers left could not be written")

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.flush()
        self.flush()
