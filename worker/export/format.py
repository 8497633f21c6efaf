"""What one format is to the rest: its files, how they are written, how they are loaded again."""

from collections.abc import Callable
from dataclasses import dataclass

from app.schemas.jobs import ExportFormat
from worker.export.source import Answer, Source


@dataclass(frozen=True, slots=True)
class Format:
    """One way to hand back a model."""

    name: ExportFormat
    files: tuple[str, ...]
    """Below the bundle's folder; the first is the one to load."""
    write: Callable[[Source], None]
    """Write the files; may raise anything about a model it cannot take."""
    load: Callable[[Source], Answer]
    """Load the written files as a user would."""
    reduced: bool = False
    """It computes with less than fp32: what it loses is judged by its answers, not by its logits."""
