"""What a tracker is: a place outside the service where people follow and compare runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from worker.events import AttemptSpec

Ending = Literal["succeeded", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, as a tracker shows it."""

    job_id: str
    attempt: int
    model: str
    base_model: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The client's own pairs; ``notes`` and ``tags`` (by comma) mean what trackers call so."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, spec: AttemptSpec) -> "Run":
        """Introduce an attempt."""
        return cls(
            job_id=spec.job_id,
            attempt=spec.attempt,
            model=spec.model_name,
            base_model=spec.base_model.id,
            metadata=spec.request.metadata,
        )

    @property
    def name(self) -> str:
        """Name the run for people: the model and the end of the job's id, which differs most."""
        attempt = f"-{self.attempt}" if self.attempt > 1 else ""
        return f"{self.model}-{self.job_id[-8:]}{attempt}"


class Tracker(Protocol):
    """Shows one run; called from one thread. Whatever it raises ends its interest in the run, not the run."""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Show what was decided before the first step."""

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Show values of curves at one step."""

    def finish(self, ending: Ending, /) -> None:
        """Say how the run ended; nothing is shown afterwards."""


StartTracker = Callable[[Run], Tracker]
"""Begins to show a run; may raise anything."""
