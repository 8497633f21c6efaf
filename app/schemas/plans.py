"""What a job would do, told before it exists."""

from typing import Any, Literal

from app.schemas.base import Resource
from app.schemas.jobs import BaseModelRef, DatasetRef, JobWarning


class Estimate(Resource):
    """The size of the run; ``auto`` is taken at the worker's rule, with a guess of how many tokens the texts have and
    all copies of an augmentation made. Early stopping may end it sooner."""

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


class MemoryEstimate(Resource):
    """What one training step takes of a GPU's memory, of each where `devices` says several, without what CUDA itself
    takes (some 500 MB).

    Weights, gradients and the optimizer's state stay in fp32 also under mixed precision, where 16-bit copies of the
    weights are added and activations shrink.
    """

    batch_size: int
    """Texts per forward pass that it is for; where several devices share a batch, those of one of them."""
    max_length: int
    """Tokens per text that it is for; where the request says `auto`, a guess from the lengths of the texts."""
    chunks: int = 1
    """Chunks of that length per text that it is for; 1: texts are read as a whole."""
    parameters: int
    """Numbers of the model."""
    trainable_parameters: int
    """Those that learn."""
    parameters_mb: float
    """The weights in fp32."""
    gradients_mb: float
    """One number per trainable parameter in fp32."""
    optimizer_mb: float
    """What the optimizer remembers in fp32: AdamW two moments of each parameter, adafactor a row and a column of each
    matrix."""
    casts_mb: float
    """16-bit copies of the weights that are multiplied with, which the embeddings are not; none in fp32."""
    activations_mb: float
    """What the backward pass needs of the forward pass; the part that batch_size, max_length, precision and
    gradient_checkpointing change."""
    total_mb: float
    """The sum."""


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
    memory: MemoryEstimate | None
    """What it would take of a GPU's memory; null when the size of the base model is not known before it is loaded."""
    warnings: list[JobWarning]
    """What would not stop the job, but is worth a look."""
    workers_alive: int
    """Workers that are connected now and take jobs of its queue."""
    queued_jobs: int
    """Jobs that wait for a worker now."""
