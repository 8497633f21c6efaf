"""Weights & Biases: a run for each attempt in the operator's project, online, or offline to be synced later."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from app.settings import Settings
from worker.tracking.tracker import Ending, Run, StartTracker


class WandB:
    """Shows one attempt; the key is what ``WANDB_API_KEY`` says in the worker's environment."""

    def __init__(self, settings: Settings, run: Run) -> None:
        wandb = import_module("wandb")
        folder = settings.data_dir / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        tags = [tag.strip() for tag in run.metadata.get("tags", "").split(",") if tag.strip()]
        self._run = wandb.init(
            project=settings.wandb_project,
            entity=settings.wandb_entity or None,
            mode=settings.wandb_mode,
            dir=str(folder),
            id=f"{run.job_id}-{run.attempt}",
            name=run.name,
            group=run.model,
            job_type="train",
            tags=[run.base_model[:64], *tags],
            notes=run.metadata.get("notes"),
            config={"job_id": run.job_id, "attempt": run.attempt, "metadata": dict(run.metadata)},
            # Jobs run side by side in one process.
            reinit="create_new",
            # Neither the worker's output nor its code or machine is this run's.
            settings=wandb.Settings(
                console="off", disable_git=True, save_code=False, silent=True, x_disable_stats=True
            ),
        )

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Show what was decided as the run's config."""
        self._run.config.update(dict(values), allow_val_change=True)

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Log values; those of an earlier step than the last one would be dropped, and none comes."""
        self._run.log(dict(values), step=step)

    def finish(self, ending: Ending, /) -> None:
        """End the run and wait until it is sent."""
        self._run.finish(exit_code=0 if ending == "succeeded" else 1)


def connect(settings: Settings) -> StartTracker:
    """Give what begins a run for each attempt; wandb itself is imported when the first one does."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return lambda run: WandB(settings, run)
