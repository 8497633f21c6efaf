"""What is known of a run besides its curves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from app.schemas.datasets import DatasetProfile
from app.schemas.hyperparameters import in_one_name
from app.schemas.jobs import TERMINAL, Job
from app.schemas.metrics import Evaluation

GPU_UNUSED = "gpu-unused"
"""Code of the warning by which a worker tells that it computes on its processor although it should not."""
LEAST_CHANCE_LOSS = 0.05
"""Where one label is nearly everything, even knowing nothing costs next to nothing; ratios to less would be noise."""


def has_label_sets(evaluation: Evaluation | None, profile: DatasetProfile | None) -> bool:
    """Say whether rows have any number of labels: as they were judged, else as the dataset has them."""
    if evaluation is not None:
        return evaluation.hamming_loss is not None
    return profile is not None and profile.problem_type == "multi_label"


@dataclass(frozen=True)
class Facts:
    """The circumstances of a run; every part may be unknown."""

    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    label_counts: Mapping[str, int] = field(default_factory=dict)
    """Rows of the training split by label."""
    majority_baseline: float | None = None
    """Accuracy of always answering the commonest label."""
    validation: Evaluation | None = None
    """The kept checkpoint, judged on the validation split."""
    stop_reason: str | None = None
    error_code: str | None = None
    finished: bool = True
    """False while the job is still under way."""
    total_steps: int | None = None
    base_model: str | None = None
    rows: int | None = None
    """Rows of the training split, where each may have any number of labels; None: each has one."""

    device: str | None = None
    """What it computes on."""
    gpu_unused: bool = False
    """It computes on the processor where there is a GPU, or where one was asked for."""

    several_tasks: bool = False
    """The model learns further tasks beside the one that it is judged by."""

    @property
    def losses_are_alike(self) -> bool:
        """Say whether training and validation are measured by the same loss, which is plain cross-entropy there.

        Smoothing is no matter, what it adds is known; weights of classes are neither, being divided out again.
        """
        other = self.hyperparameters.get("loss") == "focal" or self.hyperparameters.get("distillation") is not None
        return not (other or self.several_tasks)

    @classmethod
    def of(cls, job: Job, profile: DatasetProfile | None = None) -> Self:
        """Gather the facts of a job."""
        train = profile.splits.get("train") if profile else None
        return cls(
            hyperparameters=job.hyperparameters,
            label_counts=train.by_label if train else {},
            majority_baseline=profile.majority_baseline if profile else None,
            validation=job.metrics.validation,
            stop_reason=job.stop_reason,
            error_code=(job.error or {}).get("code"),
            finished=job.status in TERMINAL,
            total_steps=job.progress.total_steps,
            base_model=job.base_model.id,
            device=job.worker.device if job.worker else None,
            gpu_unused=any(warning.code == GPU_UNUSED for warning in job.warnings),
            several_tasks=job.family == "multitask",
            rows=train.total if train and has_label_sets(job.metrics.validation, profile) else None,
        )

    def number(self, name: str) -> float | None:
        """Give a hyperparameter that is a finite number; None for every other value."""
        value = self.hyperparameters.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            return None
        return float(value)

    @property
    def metric_name(self) -> str:
        """Name the metric that picks the checkpoint."""
        name = self.hyperparameters.get("metric_for_best_model")
        if isinstance(name, dict) and name and all(type(weight) in (int, float) for weight in name.values()):
            return in_one_name(name)
        return name if isinstance(name, str) else "f1_macro"

    @property
    def counts(self) -> dict[str, int]:
        """Count rows by label: of the training split, else of the validation split as its evaluation saw it."""
        if self.label_counts:
            return dict(self.label_counts)
        return {scores.label: scores.support for scores in self.validation.per_class} if self.validation else {}

    @property
    def baseline(self) -> float | None:
        """Give the accuracy of always answering the commonest label, from the profile or from the counts."""
        if self.majority_baseline is not None or self.rows is not None:
            return self.majority_baseline
        total = sum(self.counts.values())
        return max(self.counts.values()) / total if total else None

    @property
    def chance_loss(self) -> float | None:
        """Give the cross-entropy of a model that has learned nothing but how frequent the labels are."""
        counts = [count for count in self.counts.values() if count > 0]
        if len(self.counts) < 2 or not counts:
            return None
        if self.rows is not None:
            return max(self._chance_of_sets(self.rows), LEAST_CHANCE_LOSS)
        if self.hyperparameters.get("class_weights", "none") not in ("none", None):
            return math.log(len(self.counts))  # weighted classes count alike, as if they were equally frequent
        total = sum(counts)
        entropy = -sum(count / total * math.log(count / total) for count in counts)
        return max(entropy, LEAST_CHANCE_LOSS)

    def _chance_of_sets(self, rows: int) -> float:
        """Give the mean binary cross-entropy over all labels where each is as probable as it is frequent."""
        weights = self.hyperparameters.get("class_weights")
        losses = []
        for label, count in self.counts.items():
            weight = weights.get(label, 1.0) if isinstance(weights, dict) else 1.0
            have, lack = weight * min(count, rows) / rows, 1 - min(count, rows) / rows
            parts = [part for part in (have, lack) if part > 0]
            losses.append(-sum(part * math.log(part / (have + lack)) for part in parts))
        return sum(losses) / len(losses)

    @property
    def resting_loss(self) -> float:
        """Give the training loss of a perfect model: above 0 when labels are smoothed."""
        smoothing, labels = self.number("label_smoothing_factor") or 0.0, len(self.counts)
        if not 0 < smoothing < 1 or labels < 2:
            return 0.0
        if self.rows is not None:
            labels = 2  # each is a yes or no
        share = smoothing / labels
        right = 1 - smoothing + share
        return -right * math.log(right) - (labels - 1) * share * math.log(share)
