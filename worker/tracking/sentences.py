"""The one sentence that a job shows to people while it runs."""

import math
from collections.abc import Mapping

from app.schemas.jobs import BestMetric, Phase, Progress

_PHASES: Mapping[Phase, str] = {
    "preparing": "Preparing: reading the dataset and the base model.",
    "training": "Training: the first steps are on their way.",
    "evaluating": "Evaluating the best checkpoint.",
    "exporting": "Exporting the model and checking the export against it.",
    "publishing": "Publishing the new version.",
}


def of_phase(phase: Phase) -> str:
    """Say what a phase does."""
    return _PHASES[phase]


def of_step(progress: Progress, best: BestMetric | None) -> str:
    """Say how far training is: ``Training: epoch 2 of 5, step 120 of 300, about 3 minutes left.``"""
    parts = []
    if progress.num_train_epochs is not None:
        epoch = min(progress.num_train_epochs, max(1, math.ceil(progress.epoch - 1e-6)))
        parts.append(f"epoch {epoch} of {progress.num_train_epochs}")
    parts.append(f"step {progress.step} of {progress.total_steps}")
    if best is not None:
        parts.append(f"best {best.name} {best.value:.3f}")
    if progress.eta_seconds is not None and math.isfinite(progress.eta_seconds):
        parts.append(f"{duration(progress.eta_seconds)} left")
    return f"Training: {', '.join(parts)}."


def duration(seconds: float) -> str:
    """Round a time to what a person would say: ``about 3 minutes``."""
    if seconds < 50:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} minute{'s' if minutes > 1 else ''}"
    hours = round(seconds / 3600)
    return f"about {hours} hour{'s' if hours > 1 else ''}"
