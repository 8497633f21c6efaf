"""Evaluations: a stored version judged on the rows of a dataset, whichever it was trained on."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.base import Resource, StrictModel
from app.schemas.batches import BatchProgress, BatchStatus
from app.schemas.datasets import DataWarning, SplitName
from app.schemas.judgements import Interval, PartScores
from app.schemas.metrics import TaskEvaluation

JudgedSplit = SplitName | Literal["all"]


class EvaluationRequest(StrictModel):
    """Judge a version on a stored dataset."""

    dataset_id: Annotated[str, Field(max_length=64, examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"])]
    """The dataset with the rows; its labels are matched with those of the version by name."""
    split: JudgedSplit = "test"
    """Which of its rows; all: every split, for a dataset that is nothing but test rows."""
    task: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    """Of a multitask version: the task that the labels belong to; null: the main one."""


class Judging(Resource):
    """What a batch of labelled rows is judged by; stored with it."""

    dataset_id: str
    dataset_sha256: str
    split: JudgedSplit
    task: str | None
    warnings: list[DataWarning] = []


class ScoreIntervals(Resource):
    """95 % bootstrap intervals: what another draw of as many rows might have given."""

    resamples: int
    """Times the rows were drawn anew, with a fixed seed."""
    accuracy: Interval
    """Of ``accuracy``."""
    f1_macro: Interval
    """Of ``f1_macro``."""


class Judgement(Resource):
    """What the answers of a version were worth."""

    scores: TaskEvaluation
    """The scores; loss is that of the probabilities as they are served."""
    intervals: ScoreIntervals | None
    """How sure they are; null where there are too many rows and labels to draw them anew."""
    slices: list[PartScores] = []
    """Scores on short, medium and long texts, and by the slice columns of the dataset; empty where there are too many
    rows and labels to draw them anew."""
    refused: int
    """Rows that the version does not answer, for being too long; they are not judged."""


class VersionEvaluation(Resource):
    """One judging of a version, from request to scores."""

    id: str
    """That of the batch prediction that asks for the answers; begins with ``bat_``."""
    status: BatchStatus
    """How far it is."""
    status_reason: str
    """One sentence for people: what is happening, or why it ended."""
    model: str
    """The model."""
    version: int
    """The version that is judged."""
    dataset_id: str
    """The dataset with the rows."""
    dataset_sha256: str
    """Hash of its rows, so that scores on the same rows are known as such."""
    split: JudgedSplit
    """Which of its rows."""
    task: str | None
    """The further task that is judged; null: the main one."""
    progress: BatchProgress
    """Rows done, speed, time left."""
    judgement: Judgement | None
    """The scores; null until it has succeeded."""
    warnings: list[DataWarning]
    """What makes the scores worth less than they look."""
    error: dict[str, Any] | None
    """Why it failed: code, category, detail, remedy."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When a worker first began it."""
    finished_at: datetime | None
    """When it ended."""
    links: dict[str, str]
    """Where to go from here; ``batch`` cancels and deletes it, ``results`` has the answer and the loss of each row."""
