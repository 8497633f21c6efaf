"""The history of a job: what happened, line by line."""

from datetime import datetime
from typing import Any

from app.schemas.base import Resource


class JobEvent(Resource):
    """One line of a job's history, in order; ``seq`` is the Last-Event-ID of the event stream."""

    seq: int
    """1, 2, 3, ... without a gap."""
    job_id: str
    """The job."""
    attempt: int
    """The attempt it belongs to; 0: before the first."""
    type: str
    """``status``, ``phase``, ``resolved``, ``step``, ``evaluated``, ``stopped``, ``warning``, ``diagnosis`` or ``log``.
    A diagnosis of one code is told once, with the evidence of that moment."""
    at: datetime
    """When it happened."""
    data: dict[str, Any]
    """What happened; its fields depend on the type."""
