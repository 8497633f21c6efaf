"""What the worker and its importing process say to each other: one order goes in, one answer comes out."""

from pathlib import Path
from typing import Any

from app.preflight.messages import Accepted, Limits
from app.schemas.provenance import Provenance
from app.schemas.sources import ImportRequest
from worker.events import Message


class ImportOrder(Message):
    """What to fetch, and what the operator's settings say about it."""

    request: ImportRequest
    folder: Path
    """Private folder of the attempt; the rows are written into it."""
    hub_endpoint: str
    hub_enabled: bool
    cache_dir: Path
    max_bytes: int
    limits: Limits
    processed_dir: Path | None


class Imported(Message):
    """The rows lie in ``rows.jsonl`` of the folder, or ``error`` says why not."""

    accepted: Accepted | None = None
    provenance: Provenance | None = None
    error: dict[str, Any] | None = None
    """As ``JobFailure.as_dict`` gives it."""
