"""What the worker and its classifying process say to each other: one order goes in, chunks come out."""

from pathlib import Path
from typing import Any

from app.schemas.evaluations import Judgement, Judging
from worker.events import Message


class BatchOrder(Message):
    """What to classify, with what, and where to begin."""

    bundle: Path
    """Folder of the version."""
    rows: Path
    """JSON Lines with ``text``."""
    start: int
    """Rows that need no answer any more."""
    folder: Path
    """Where chunks are written."""
    chunk_rows: int
    chunk_seconds: float
    threads: int
    top_k: int | None
    return_all_scores: bool
    judging: Judging | None = None
    """Of an evaluation: which rows, and what their answers are held against."""
    before: list[Path] = []
    """Of an evaluation that goes on: the chunks so far, in their order."""


class BatchSays(Message):
    """One of the three: a chunk is written, all is done, or it failed."""

    chunk: Path | None = None
    """A file of answers, JSON Lines; whoever has stored it removes it."""
    rows: int = 0
    """Rows of the chunk."""
    seconds: float = 0.0
    """What they took."""
    done: bool = False
    judgement: Judgement | None = None
    """With ``done``: what came out of an evaluation."""
    error: dict[str, Any] | None = None
    """As ``JobFailure.as_dict`` gives it."""
