"""What a job would do, told before it exists."""

from typing import Any, Literal

from app.schemas.base import Resource
from app.schemas.jobs import BaseModelRef, DatasetRef, JobWarning


class Estimate(Resource):
    """The size of the run; ``auto`` is taken at its rule, early stopping may end it sooner."""

    train_rows: int
    validation_rows: int
    batch_size: int
    """Texts per forward pass."""
    num_train_epochs: int
    steps_per_epoch: int
    total_steps: int
    """Optimizer steps at most."""


class JobPlan(Resource):
    """The job that this request would make; nothing was stored."""

    valid: Literal[True] = True
    request: dict[str, Any]
    """The request with every default written out."""
    dataset: DatasetRef
    base_model: BaseModelRef
    """Pinned to the revision that would be used."""
    estimate: Estimate
    warnings: list[JobWarning]
    workers_alive: int
    queued_jobs: int
    """Jobs that wait for a worker now."""
