"""Batch predictions: many texts in, one file of answers out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.base import Resource, StrictModel
from app.schemas.datasets import FileFormat
from app.schemas.predictions import MODEL_REFERENCE_PATTERN

BatchStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
BATCH_ENDED = frozenset({"succeeded", "failed", "cancelled"})
ResultFormat = Literal["jsonl", "csv"]


class BatchOptions(StrictModel):
    """What to ask, and how to answer."""

    model: Annotated[str, Field(pattern=MODEL_REFERENCE_PATTERN, examples=["sentiment@champion"])]
    """NAME (its serving version), NAME@ALIAS or NAME:VERSION; the version that it means now answers every row."""
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Give only the k most probable labels in ``scores``; null: no ``scores`` unless return_all_scores."""
    return_all_scores: bool = False
    """Give the probability of every label."""


class BatchRequest(BatchOptions):
    """Classify the texts of a stored dataset; a file of texts is sent as a form instead."""

    dataset_id: Annotated[str, Field(max_length=64, examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"])]
    """The dataset whose texts are classified, every split of it."""


class BatchUpload(BatchOptions):
    """Classify the texts of a file that comes along."""

    text_column: Annotated[str, Field(min_length=1, max_length=200)] = "text"
    """The column with the texts; all others are left out."""
    format: FileFormat | None = None
    """csv, tsv, json, jsonl or parquet; null: told from the content."""


class BatchColumns(Resource):
    """What a version's answers have, for a table of them."""

    labels: list[str]
    """Labels of the main task."""
    several: bool = False
    """Whether a text may have any number of labels."""
    tasks: list[str] = []
    """Further tasks by name."""


class BatchProgress(Resource):
    """How far a batch is."""

    rows_done: int
    """Rows whose answers are stored."""
    rows: int
    """Rows in all."""
    fraction: float
    """0 to 1."""
    rows_per_second: float | None
    """The speed of the present attempt, or of the last one; null until its first chunk is stored."""
    eta_seconds: float | None
    """How long the rest will take at this speed; null when nothing runs."""


class BatchPrediction(Resource):
    """One classification of many texts, from request to file."""

    id: str
    """Begins with ``bat_``."""
    status: BatchStatus
    """How far it is."""
    status_reason: str
    """One sentence for people: what is happening, or why it ended."""
    model: str
    """The model that answers."""
    version: int
    """The version that answers, resolved when the batch was accepted."""
    dataset_id: str | None
    """The dataset with the texts; null for an uploaded file, or when the dataset was deleted since."""
    top_k: int | None
    """As asked for."""
    return_all_scores: bool
    """As asked for."""
    progress: BatchProgress
    """Rows done, speed, time left."""
    attempt: int
    """How often a worker has begun or resumed it."""
    error: dict[str, Any] | None
    """Why it failed: code, category, detail, remedy."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When a worker first began it."""
    finished_at: datetime | None
    """When it ended."""
    links: dict[str, str]
    """Where to go from here."""


class BatchEvent(Resource):
    """One line of a batch's history, in order; ``seq`` is the Last-Event-ID of the event stream."""

    seq: int
    """1, 2, 3, ... without a gap."""
    batch_id: str
    """The batch."""
    attempt: int
    """The attempt it belongs to; 0: before the first."""
    type: str
    """``status``: it began to wait or run, or ended; ``chunk``: more rows are stored; ``cancelling``."""
    at: datetime
    """When it happened."""
    data: dict[str, Any]
    """What happened; of a chunk the progress."""
