"""Turns what a training process says into what the store keeps: curves, progress, scores and sentences for people."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy.orm import Session

from app.schemas.datasets import DatasetProfile
from app.schemas.diagnoses import Diagnosis
from app.schemas.jobs import BestMetric, JobWarning, Phase, Progress
from app.schemas.usage import Usage
from app.store import jobs
from app.store.claims import Claim
from app.store.events import NewEvent
from app.store.jobs import Recorded
from worker.events import (
    Checkpointed,
    Evaluated,
    Event,
    PhaseStarted,
    Resolved,
    Resumed,
    Stepped,
    Stopped,
    Used,
    Warned,
)
from worker.tracking import sentences
from worker.tracking.examiner import Examiner
from worker.tracking.points import finite, points_of, scalars

SHARE_OF_TRAINING = 0.94
"""How much of the progress bar the optimizer steps take; the rest is for what follows them."""
FRACTION: Mapping[Phase, float] = {"evaluating": 0.95, "exporting": 0.97, "publishing": 0.99}
SHARE_OF_STEP_EVENTS = 0.005
"""Step events become rarer as a run grows older, so that a long run leaves thousands of them, not millions."""

_GROWING = ("events", "points", "warnings")
_OVERLAID = ("last_metrics", "evaluations")

Entry = Phase | Recorded
"""One thing to write: the phase that begins, or what was seen in the present one."""


class Recorder:
    """Collects what one attempt reports; any thread may ``hear`` while another writes what it takes."""

    def __init__(self, *, step_event_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._began = clock()
        self._step_event_seconds = step_event_seconds
        self._last_step_event = -math.inf
        self._entries: list[Entry] = []
        self._best: BestMetric | None = None
        self._examiner = Examiner()
        self.phase: Phase | None = None
        self.progress = Progress()

    def hear(self, event: Event) -> None:
        """Take in one event, without touching the database."""
        with self._lock:
            if isinstance(event, PhaseStarted):
                self._enter(event.phase)
            elif (seen := self._see(event)) is not None:
                self._add(seen)
                self._diagnosed(self._examiner.see(event, points_of(event)))

    def know(self, profile: DatasetProfile) -> None:
        """Take in what is known of the data, for the diagnosis."""
        with self._lock:
            self._examiner.know(profile)

    def conclude(self, error_code: str | None) -> None:
        """Note that the attempt has failed, and what its curves say of that."""
        with self._lock:
            self._diagnosed(self._examiner.conclude(error_code))

    def enter(self, phase: Phase) -> None:
        """Note a phase that the worker itself begins."""
        with self._lock:
            self._enter(phase)

    def say(self, reason: str) -> None:
        """Tell people in one sentence what is happening."""
        with self._lock:
            self._add(Recorded(status_reason=reason))

    def trained(self, seconds: float) -> None:
        """Note for how long the job has trained, in all its attempts."""
        with self._lock:
            self._add(Recorded(trained_seconds=round(seconds, 3)))

    def take(self) -> list[Entry]:
        """Give all that was heard since the last call, in order."""
        with self._lock:
            entries, self._entries = self._entries, []
        return entries

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Keep what could not be written for the next time."""
        with self._lock:
            later, self._entries = self._entries, []
            for entry in (*entries, *later):
                self._add(entry)

    def _enter(self, phase: Phase) -> None:
        if phase == self.phase:
            return
        self.phase = phase
        self._add(phase)
        self.progress = self.progress.model_copy(update={"fraction": FRACTION.get(phase, self.progress.fraction)})
        self._add(Recorded(progress=self.progress, status_reason=sentences.of_phase(phase)))

    def _diagnosed(self, found: list[Diagnosis] | None) -> None:
        if found is not None:
            self._add(Recorded(diagnoses=found))

    def _add(self, entry: Entry) -> None:
        last = self._entries[-1] if self._entries else None
        if isinstance(entry, Recorded) and isinstance(last, Recorded):
            self._entries[-1] = merged(last, entry)
        else:
            self._entries.append(entry)

    def _see(self, event: Event) -> Recorded | None:
        match event:
            case Stepped():
                return self._stepped(event)
            case Evaluated():
                return self._evaluated(event)
            case Resolved():
                return self._resolved(event)
            case Stopped():
                return Recorded(
                    stop_reason=event.reason,
                    events=[NewEvent("stopped", event.model_dump(exclude={"type"}))],
                )
            case Warned():
                warning = JobWarning(code=event.code, detail=event.detail, remedy=event.remedy)
                return Recorded(warnings=[warning], events=[NewEvent("warning", warning.model_dump())])
            case Resumed():
                return Recorded(
                    status_reason=f"Training goes on at step {event.step}, where it was saved.",
                    events=[NewEvent("resumed", {"step": event.step})],
                )
            case Checkpointed():
                return Recorded(events=[NewEvent("checkpoint", {"step": event.step})])
            case Used():
                return Recorded(usage=self._from_the_claim(event.usage))
            case _:
                return None

    def _from_the_claim(self, usage: Usage) -> Usage:
        """Add what lies between the claim and the training process's own clock."""
        own = usage.breakdown
        if own is None:
            return usage
        inside = own.prepare + own.train + own.evaluate + own.export + own.verify
        start = round(max(0.0, self._clock() - self._began - inside), 3)
        return usage.model_copy(update={"breakdown": own.model_copy(update={"start": start})})

    def _resolved(self, event: Resolved) -> Recorded:
        self.progress = self.progress.model_copy(
            update={"total_steps": event.total_steps, "num_train_epochs": event.hyperparameters.num_train_epochs}
        )
        data = event.model_dump(mode="json", include={"total_steps", "device", "resolutions"})
        if event.inspection is not None:
            data["parameters"] = event.inspection.parameters
            data["trainable_parameters"] = event.inspection.trainable_parameters
        return Recorded(
            hyperparameters=event.hyperparameters.model_dump(mode="json"),
            resolutions=event.resolutions,
            base_model=event.base_model,
            device=event.device,
            inspection=event.inspection,
            progress=self.progress,
            events=[NewEvent("resolved", data)],
        )

    def _stepped(self, event: Stepped) -> Recorded:
        self.progress = Progress(
            fraction=round(SHARE_OF_TRAINING * event.step / max(1, event.total_steps), 4),
            step=event.step,
            total_steps=event.total_steps,
            epoch=event.epoch,
            num_train_epochs=self.progress.num_train_epochs,
            loss=event.loss,
            learning_rate=event.learning_rate,
            eta_seconds=event.eta_seconds,
            examples_per_second=event.examples_per_second,
        )
        points = finite(points_of(event))
        return Recorded(
            progress=self.progress,
            status_reason=sentences.of_step(self.progress, self._best),
            points=points,
            last_metrics={point.name: point.value for point in points},
            events=[NewEvent("step", self.progress.model_dump(mode="json"))] if self._step_event_is_due() else [],
        )

    def _step_event_is_due(self) -> bool:
        now = self._clock()
        pause = max(self._step_event_seconds, SHARE_OF_STEP_EVENTS * (now - self._began))
        due = now - self._last_step_event >= pause
        if due:
            self._last_step_event = now
        return due

    def _evaluated(self, event: Evaluated) -> Recorded:
        validation = event.evaluation.split == "validation"
        if event.improved and validation:
            self._best = BestMetric(
                name=event.metric_name, value=event.metric_value, step=event.step, epoch=event.epoch
            )
        points = finite(points_of(event))
        data = event.model_dump(mode="json", exclude={"type", "evaluation"})
        data |= {"split": event.evaluation.split, "metrics": scalars(event.evaluation)}
        return Recorded(
            best_metric=self._best,
            # The validation that a version is judged by is the best one, not the last.
            evaluations={event.evaluation.split: event.evaluation} if event.improved or not validation else None,
            points=points,
            last_metrics={point.name: point.value for point in points},
            events=[NewEvent("evaluated", data)],
        )


def write(session: Session, claim: Claim, entries: Sequence[Entry]) -> bool:
    """Write entries in order; False when the claim has fallen, and then the transaction has nothing to keep."""
    return all(
        jobs.record(session, claim, entry) if isinstance(entry, Recorded) else jobs.start_phase(session, claim, entry)
        for entry in entries
    )


def merged(earlier: Recorded, later: Recorded) -> Recorded:
    """Make one batch of two: lists of happenings grow, newest values are overlaid, else the later word counts."""
    changes: dict[str, Any] = {name: [*getattr(earlier, name), *getattr(later, name)] for name in _GROWING}
    changes |= {name: {**(getattr(earlier, name) or {}), **(getattr(later, name) or {})} for name in _OVERLAID}
    rest = {field.name for field in fields(later)} - changes.keys()
    return replace(later, **changes, **{name: getattr(earlier, name) for name in rest if getattr(later, name) is None})
