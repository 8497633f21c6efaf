"""What a job would do, told before it exists."""

from typing import Any, Literal

from app.schemas.base import Resource
from app.schemas.jobs import BaseModelRef, DatasetRef, JobWarning


class Estimate(Resource):
    """The size of the run; ``auto`` is taken at its rule, early stopping may end it sooner."""

    train_rows: int
    """Rows to learn from."""
    validation_rows: int
    """Rows each evaluation judges."""
    batch_size: int
    """Texts per forward pass."""
    num_train_epochs: int
    """Passes over the training rows at most."""
    steps_per_epoch: int
    """Optimizer steps of one pass."""
    total_steps: int
    """Optimizer steps at most."""


class JobPlan(Resource):
    """The job that this request would make; nothing was stored."""

    valid: Literal[True] = True
    """Always true: what is not valid is answered with a problem."""
    request: dict[str, Any]
    """The request with every default written out."""
    dataset: DatasetRef
    """The data it would train on."""
    base_model: BaseModelRef
    """Pinned to the revision that would be used."""
    estimate: Estimate
    """How long it would be."""
    warnings: list[JobWarning]
    """What would not stop the job, but is worth a look."""
    workers_alive: int
    """Workers that are connected now."""
    queued_jobs: int
    """Jobs that wait for a worker now."""
