"""Examines a run while it goes on: keeps its curves thinned in memory and asks the doctor after each evaluation."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.doctor.diagnosis import diagnose
from app.doctor.facts import GPU_UNUSED, Facts, has_label_sets
from app.schemas.datasets import DatasetProfile
from app.schemas.diagnoses import Diagnosis
from app.schemas.metrics import Evaluation
from app.store.metrics import Point
from worker.events import Evaluated, Event, Resolved, Stepped, Stopped, Warned

MOST_POINTS = 2000
"""Points of one curve that are kept; a longer one is thinned to half of them, then to every second of the new ones."""


class Examiner:
    """The history of one attempt as far as it went; ``see`` says what a new event changes."""

    def __init__(self) -> None:
        self._curves: dict[str, _Thinned] = {}
        self._hyperparameters: Mapping[str, Any] = {}
        self._total_steps: int | None = None
        self._base_model: str | None = None
        self._profile: DatasetProfile | None = None
        self._validation: Evaluation | None = None
        self._stop_reason: str | None = None
        self._device: str | None = None
        self._gpu_unused = False

    def know(self, profile: DatasetProfile) -> None:
        """Take in what is known of the data."""
        self._profile = profile

    def see(self, event: Event, points: Iterable[Point]) -> list[Diagnosis] | None:
        """Take in an event and its points; give all that is found now, None when there was nothing to examine."""
        for point in points:
            self._curves.setdefault(point.name, _Thinned()).add(point)
        match event:
            case Resolved():
                self._hyperparameters = event.hyperparameters.model_dump(mode="json")
                self._total_steps, self._base_model = event.total_steps, event.base_model.id
                self._device = event.device
            case Warned():
                self._gpu_unused = self._gpu_unused or event.code == GPU_UNUSED
            case Evaluated() if event.evaluation.split == "validation":
                if event.improved:
                    self._validation = event.evaluation
                return self._examine(finished=False)
            case Stopped():
                self._stop_reason = event.reason
                return self._examine(finished=True)
            case Stepped() if event.logged and not math.isfinite(event.loss):
                return self._examine(finished=False)
        return None

    def conclude(self, error_code: str | None) -> list[Diagnosis] | None:
        """Give what is found of a run that failed; None when it never took a step."""
        return self._examine(finished=True, error_code=error_code) if self._curves else None

    def _examine(self, *, finished: bool, error_code: str | None = None) -> list[Diagnosis]:
        train = self._profile.splits.get("train") if self._profile else None
        facts = Facts(
            hyperparameters=self._hyperparameters,
            label_counts=train.by_label if train else {},
            majority_baseline=self._profile.majority_baseline if self._profile else None,
            validation=self._validation,
            stop_reason=self._stop_reason,
            error_code=error_code,
            finished=finished,
            total_steps=self._total_steps,
            base_model=self._base_model,
            device=self._device,
            gpu_unused=self._gpu_unused,
            several_tasks=self._validation is not None and bool(self._validation.tasks),
            rows=train.total if train and has_label_sets(self._validation, self._profile) else None,
        )
        return diagnose((point for curve in self._curves.values() for point in curve.points), facts)


@dataclass(slots=True)
class _Thinned:
    """A curve that never takes more than ``MOST_POINTS``: all of a short one, every 2nd, 4th, ... of a long one."""

    points: list[Point]
    stride: int = 1
    seen: int = 0

    def __init__(self) -> None:
        self.points, self.stride, self.seen = [], 1, 0

    def add(self, point: Point) -> None:
        """Take in a point; one that is no number always stays."""
        if self.seen % self.stride == 0 or not math.isfinite(point.value):
            self.points.append(point)
        self.seen += 1
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self.stride *= 2
