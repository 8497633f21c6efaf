"""Tell the parent what happens, in the events of the protocol."""

import time
from collections.abc import Callable

from app.schemas.hyperparameters import in_one_name
from app.schemas.jobs import JobWarning
from app.schemas.metrics import Evaluation
from worker import events
from worker.training.events import Evaluated, LastStep, Recomputing, SaveDue, Split, Step, Stopped, TrainingEvent
from worker.training.stopping import Metric, read_metric

QUIET_SECONDS = 5.0


class Narrator:
    """Translate the loop's events, and give a sign of life while something long is silent."""

    def __init__(self, emit: Callable[[events.Event], None]) -> None:
        self._emit = emit
        self._total_steps = 0
        self._metric: Metric = ""
        self._best = (0, 0.0)
        self._newest: events.Stepped | None = None
        self._spoke = time.monotonic()

    def say(self, event: events.Event) -> None:
        """Send an event as it is."""
        if isinstance(event, events.Resolved):
            self._total_steps, self._metric = event.total_steps, event.hyperparameters.metric_for_best_model
        self._emit(event)
        self._spoke = time.monotonic()

    def warn(self, warning: JobWarning) -> None:
        """Send a warning."""
        self.say(events.Warned(code=warning.code, detail=warning.detail, remedy=warning.remedy))

    def tell(self, event: TrainingEvent) -> None:
        """Send what the loop said."""
        match event:
            case Step():
                self._newest = self._stepped(event)
                self.say(self._newest)
            case Evaluated():
                if event.improved:
                    self._best = (event.step, event.epoch)
                self.say(self._evaluated(event.evaluation, event.step, event.epoch, improved=event.improved))
            case SaveDue() | LastStep():
                pass  # what was saved is told when it is
            case Split():
                self.warn(_split(event))
            case Recomputing():
                self.warn(_recomputing(event))
            case Stopped():
                if self._newest is not None and event.best_step == self._newest.step:
                    self._best = (self._newest.step, self._newest.epoch)
                self.say(events.Stopped(reason=event.reason, step=event.step, best_step=event.best_step))

    def tell_test(self, evaluation: Evaluation) -> None:
        """Send the evaluation of the best weights on the test split."""
        self.say(self._evaluated(evaluation, *self._best, improved=False))

    def tell_smaller_evaluation(self, size: int) -> None:
        """Say that only this many texts go through at once in evaluation."""
        self.warn(
            JobWarning(
                code="evaluation-batches-halved",
                detail=f"A batch did not fit into the memory of the GPU in evaluation; {size} texts now go through at "
                "once, with the same scores.",
                remedy=f"Set eval_batch_size to {size} to save the failed tries.",
            )
        )

    def still_alive(self) -> None:
        """Repeat the newest progress when nothing was said for a while."""
        if self._newest is not None and time.monotonic() - self._spoke > QUIET_SECONDS:
            self.say(self._newest.model_copy(update={"logged": False}))

    def _stepped(self, event: Step) -> events.Stepped:
        return events.Stepped(
            step=event.step,
            total_steps=self._total_steps,
            epoch=event.epoch,
            loss=event.loss,
            learning_rate=event.learning_rate,
            grad_norm=event.grad_norm,
            examples_per_second=event.examples_per_second,
            eta_seconds=event.eta_seconds,
            values=event.values if event.loss_scale is None else event.values | {"loss_scale": event.loss_scale},
            logged=event.logged,
        )

    def _evaluated(self, evaluation: Evaluation, step: int, epoch: float, *, improved: bool) -> events.Evaluated:
        return events.Evaluated(
            step=step,
            epoch=epoch,
            evaluation=evaluation,
            metric_name=in_one_name(self._metric),
            metric_value=read_metric(evaluation, self._metric),
            improved=improved,
        )


def _split(event: Split) -> JobWarning:
    return JobWarning(
        code="batches-split",
        detail=f"A batch did not fit into the memory of the GPU at step {event.step}; batches now go through in "
        f"{event.parts} parts, with the same result.",
        remedy="Lower batch_size and raise gradient_accumulation_steps to save the failed tries.",
    )


def _recomputing(event: Recomputing) -> JobWarning:
    return JobWarning(
        code="activations-recomputed",
        detail=f"Not even one text fitted into the memory of the GPU at step {event.step}; gradient checkpointing is "
        "now on, which computes activations twice, with the same result.",
        remedy="Set gradient_checkpointing, which then allows for a larger batch_size too, or lower max_length.",
    )
