"""A running job as plain lines, for logs and pipes: one a phase, one an evaluation, a step now and then."""

import time
from collections.abc import Callable, Iterator

from app.cli.console import clock
from app.cli.findings import in_a_line
from app.cli.progress import RunProgress
from app.schemas.job_events import JobEvent

STEP_LINE_SECONDS = 10.0


class PlainView:
    """Turns events into lines; ``run`` must have taken in the event already."""

    def __init__(self, run: RunProgress, *, now: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._now = now
        self._spoke = now()

    def lines(self, event: JobEvent) -> Iterator[str]:
        """Give the lines that an event is worth."""
        text = self._text(event)
        if text is not None:
            self._spoke = self._now()
            yield f"{event.at.astimezone():%H:%M:%S}  {text}"

    def _text(self, event: JobEvent) -> str | None:
        data = event.data
        match event.type:
            case "status":
                return f"{data['to']}: {self._run.reason}" if self._run.reason else str(data["to"])
            case "phase":
                return str(data["phase"])
            case "resolved":
                return f"training takes {data['total_steps']} steps on {data['device']}"
            case "resumed":
                return f"training goes on at step {data['step']}, where it was saved"
            case "step" if self._run.phase == "training" and self._now() - self._spoke >= STEP_LINE_SECONDS:
                return self._step()
            case "evaluated":
                return self._evaluated(event)
            case "stopped":
                return self._run.ending()
            case "warning":
                return f"note: {data['detail']}"
            case "diagnosis":
                return in_a_line(data)
        return None

    def _step(self) -> str:
        progress = self._run.progress
        parts = [f"step {progress.step}/{progress.total_steps}"]
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.4f}")
        if progress.learning_rate is not None:
            parts.append(f"lr {progress.learning_rate:.2e}")
        if progress.examples_per_second is not None:
            parts.append(f"{progress.examples_per_second:.0f} examples/s")
        if progress.eta_seconds is not None:
            parts.append(f"ETA {clock(progress.eta_seconds)}")
        return "  ".join(parts)

    def _evaluated(self, event: JobEvent) -> str:
        data = event.data
        best = "  best so far" if data["improved"] else ""
        shown = dict.fromkeys(("loss", "accuracy", data["metric_name"]))
        scores = "  ".join(f"{name} {data['metrics'][name]:.4f}" for name in shown if name in data["metrics"])
        return f"{data['split']} at step {data['step']}: {scores}{best}"
