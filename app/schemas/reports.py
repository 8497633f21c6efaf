"""Reports: everything a reader wants to know of one job, on one page; the same content in every form."""

from datetime import datetime

from app.schemas.base import Resource
from app.schemas.datasets import DataWarning, SplitName
from app.schemas.diagnoses import ChangeValue, Diagnosis
from app.schemas.jobs import BaseModelRef, BestMetric, DatasetRef, JobWarning, Status, Usage
from app.schemas.metrics import Evaluation
from app.schemas.models import ExportVerdict


class HardExample(Resource):
    """A row the model finds hard: it costs more loss than nearly every other."""

    row: int
    """Place in its split, from 0."""
    text: str
    """The beginning of the text."""
    label: str
    predicted: str
    probability: float
    """Of the predicted label."""
    label_probability: float
    """Of the label the row carries."""
    loss: float


class LabelSuspect(Resource):
    """A row whose label the model, with good confidence, believes to be wrong."""

    row: int
    text: str
    label: str
    suggested: str
    probability: float
    """Of the suggested label."""
    label_probability: float


class Overlap(Resource):
    """One text, up to case, punctuation and white space, that occurs in more than one split."""

    text: str
    rows: dict[SplitName, int]
    """How often in each split."""
    labels: list[str]
    """The labels it carries; more than one contradict each other."""


class DataIssues(Resource):
    """What a trained model shows about its data."""

    split: SplitName
    """The split that the model judged."""
    hardest: list[HardExample] = []
    label_suspects: list[LabelSuspect] = []
    label_suspects_total: int = 0
    """Found in all; ``label_suspects`` holds the most likely ones."""
    overlaps: list[Overlap] = []
    overlaps_total: int = 0
    leaked: dict[SplitName, int] = {}
    """Rows of a split whose text also occurs in the training split."""


class ReportLine(Resource):
    """One line of the block for publications."""

    name: str
    text: str


class Publication(Resource):
    """The training configuration as a paper states it."""

    lines: list[ReportLine]
    batch_size: int | None = None
    """Texts per forward pass."""
    effective_batch_size: int | None = None
    """Texts per optimizer step."""
    epochs_planned: int | None = None
    epochs_run: float | None = None
    train_seconds: float | None = None


class LabelShare(Resource):
    """How common one label is."""

    label: str
    counts: dict[SplitName, int]
    share: float | None
    """Of the training split."""


class DataSection(Resource):
    """The data of the job."""

    dataset: DatasetRef
    labels: list[LabelShare]
    random_baseline: float | None
    """Accuracy of guessing evenly."""
    majority_baseline: float | None
    """Accuracy of always answering the commonest label."""
    imbalance: float | None
    """Rows of the commonest label for each row of the rarest."""
    median_length: int | None
    """Characters."""
    duplicates: int | None
    warnings: list[DataWarning]


class ReportedHyperparameter(Resource):
    """One hyperparameter with its value and, where the service chose it, the reason."""

    name: str
    value: ChangeValue
    reason: str | None = None


class CurvePoint(Resource):
    """One point of a curve."""

    step: int
    epoch: float
    value: float


class ReportedCurve(Resource):
    """One curve, thinned, with its extremes taken from all points."""

    name: str
    recorded: int
    """Points before thinning."""
    first: CurvePoint
    last: CurvePoint
    lowest: CurvePoint
    highest: CurvePoint
    points: list[CurvePoint]


class Confusion(Resource):
    """One way to be wrong."""

    label: str
    predicted: str
    count: int
    share: float
    """Of the rows that carry the label."""


class ScoreSection(Resource):
    """One split, judged."""

    evaluation: Evaluation
    confusions: list[Confusion]
    """The commonest mistakes, most frequent first."""


class Environment(Resource):
    """Where and with what the job ran."""

    device: str | None = None
    worker: str | None = None
    libraries: dict[str, str] = {}
    usage: Usage


class Report(Resource):
    """One job from data to scores."""

    title: str
    summary: str
    """One or two sentences: what was trained, how well it does, what to look at."""
    generated_at: datetime
    job_id: str
    status: Status
    status_reason: str | None
    model: str
    version: int | None
    family: str
    base_model: BaseModelRef
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stop_reason: str | None
    error_code: str | None
    error_detail: str | None
    error_remedy: str | None
    best: BestMetric | None
    publication: Publication
    data: DataSection
    hyperparameters: list[ReportedHyperparameter]
    curves: list[ReportedCurve]
    scores: list[ScoreSection]
    """Validation first, then test."""
    exports: list[ExportVerdict]
    diagnoses: list[Diagnosis]
    issues: DataIssues | None
    environment: Environment
    warnings: list[JobWarning]
    metadata: dict[str, str]
