"""What the events of a job add up to: its phase, its progress, its evaluations. No terminal in here."""

from dataclasses import dataclass, field
from typing import Any

from app.schemas.job_events import JobEvent
from app.schemas.jobs import Job, Progress

_ENDINGS = {
    "completed": "trained to the end",
    "early_stopping": "stopped early: no better score for a while",
    "max_steps": "trained max_steps",
    "max_train_seconds": "trained max_train_seconds",
    "max_gpu_seconds": "trained max_gpu_seconds",
    "stopped": "stopped by a client",
}
MOST_LOSSES = 4096


@dataclass(frozen=True, slots=True)
class Scores:
    """One evaluation on the validation split."""

    step: int
    epoch: float
    metric: str
    """Name of the metric that picks the checkpoint."""
    value: float
    metrics: dict[str, float]


@dataclass
class RunProgress:
    """A job as far as its events have told; ``apply`` them in order."""

    job: Job
    status: str = "queued"
    phase: str | None = None
    reason: str | None = None
    device: str | None = None
    attempt: int = 0
    progress: Progress = field(default_factory=Progress)
    losses: list[tuple[float, float]] = field(default_factory=list)
    """Step and training loss of each step that was told."""
    evaluations: list[Scores] = field(default_factory=list)
    best: Scores | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    kept_step: int = 0

    def apply(self, event: JobEvent) -> None:
        """Take in one event; kinds that a newer service may have are passed over."""
        data = event.data
        match event.type:
            case "status":
                self._enter_status(event)
            case "phase":
                self.phase = data["phase"]
            case "resolved":
                self.device = data["device"]
                self.progress = self.progress.model_copy(update={"total_steps": data["total_steps"]})
            case "step":
                self.progress = Progress.model_validate(data)
                self._add_loss()
            case "evaluated" if data["split"] == "validation" and self.phase == "training":
                self._add_scores(data)
            case "warning":
                self.warnings.append(data)
            case "diagnosis":
                self.diagnoses.append(data)
            case "stopped":
                self.stopped, self.kept_step = data["reason"], data["best_step"]
                self.progress = self.progress.model_copy(update={"step": data["step"], "eta_seconds": None})

    def ending(self) -> str | None:
        """Say why training has ended and which checkpoint was kept; None while it goes on."""
        if self.stopped is None:
            return None
        how = _ENDINGS.get(self.stopped, f"training has ended: {self.stopped}")
        return f"{how}; kept the checkpoint of step {self.kept_step}"

    def _enter_status(self, event: JobEvent) -> None:
        self.status = event.data["to"]
        self.reason = event.data.get("reason")
        if event.attempt == 0 and self.status == "queued" and self.job.status == "queued":
            self.reason = self.job.status_reason  # why it still waits: this is newer than the event
        self.phase = None
        if event.attempt != self.attempt:
            # Another attempt starts over, or from a checkpoint: it repeats what it needs.
            self.attempt = event.attempt
            self.evaluations, self.losses, self.best, self.stopped = [], [], None, None

    def _add_loss(self) -> None:
        if self.progress.loss is not None:
            self.losses.append((self.progress.step, self.progress.loss))
        if len(self.losses) >= MOST_LOSSES:
            del self.losses[1::2]  # a curve of half as many points looks the same

    def _add_scores(self, data: dict[str, Any]) -> None:
        scores = Scores(data["step"], data["epoch"], data["metric_name"], data["metric_value"], data["metrics"])
        self.evaluations.append(scores)
        if data["improved"]:
            self.best = scores
