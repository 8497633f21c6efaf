"""Reports: everything a reader wants to know of one job, on one page; the same content in every form."""

from datetime import datetime

from app.schemas.base import Resource
from app.schemas.datasets import DataWarning, ProblemType, SplitName
from app.schemas.diagnoses import ChangeValue, Diagnosis
from app.schemas.inspections import Inspection
from app.schemas.issues import DataIssues
from app.schemas.jobs import BaseModelRef, BestMetric, DatasetRef, JobWarning, Status
from app.schemas.judgements import Baseline, Intervals, SliceScores
from app.schemas.metrics import Evaluation
from app.schemas.models import ExportVerdict
from app.schemas.usage import Usage


class ReportLine(Resource):
    """One line of the block for publications."""

    name: str
    """What it is about."""
    text: str
    """What a paper would say."""


class Publication(Resource):
    """The training configuration as a paper states it."""

    lines: list[ReportLine]
    """The block, line by line."""
    batch_size: int | None = None
    """Texts per forward pass."""
    effective_batch_size: int | None = None
    """Texts per optimizer step."""
    epochs_planned: int | None = None
    """Passes over the training split that were asked for."""
    epochs_run: float | None = None
    """Passes that were made."""
    train_seconds: float | None = None
    """Time spent on training steps and evaluations."""


class LabelShare(Resource):
    """How common one label is."""

    label: str
    """Name of the label."""
    counts: dict[SplitName, int]
    """Rows in each split."""
    share: float | None
    """Of the training split."""


class DataSection(Resource):
    """The data of the job."""

    dataset: DatasetRef
    """The dataset, pinned by hash."""
    labels: list[LabelShare]
    """Every label, in index order."""
    random_baseline: float | None
    """Accuracy of guessing evenly."""
    majority_baseline: float | None
    """Accuracy of always answering the commonest label."""
    imbalance: float | None
    """Rows of the commonest label for each row of the rarest."""
    median_length: int | None
    """Characters."""
    duplicates: int | None
    """Rows whose text occurs earlier."""
    warnings: list[DataWarning]
    """What a careful person would look at."""


class ReportedHyperparameter(Resource):
    """One hyperparameter with its value and, where the service chose it, the reason."""

    name: str
    """As in the request."""
    value: ChangeValue
    """What ran, or what was asked for while nothing has run."""
    reason: str | None = None
    """Why the service chose it; null where the client did."""


class CurvePoint(Resource):
    """One point of a curve."""

    step: int
    """Optimizer steps by then."""
    epoch: float
    """Passes over the training split by then."""
    value: float
    """The value."""


class ReportedCurve(Resource):
    """One curve, thinned, with its extremes taken from all points."""

    name: str
    """``train/...`` or ``eval/...``."""
    recorded: int
    """Points before thinning."""
    first: CurvePoint
    """The earliest point."""
    last: CurvePoint
    """The latest point."""
    lowest: CurvePoint
    """The lowest point, the earliest of equals."""
    highest: CurvePoint
    """The highest point, the earliest of equals."""
    points: list[CurvePoint]
    """The curve, thinned."""


class Confusion(Resource):
    """One way to be wrong."""

    label: str
    """The true label."""
    predicted: str
    """What it was taken for."""
    count: int
    """Rows."""
    share: float
    """Of the rows that carry the label."""


class ScoreSection(Resource):
    """One split, judged."""

    evaluation: Evaluation
    """All scores of the split."""
    confusions: list[Confusion]
    """The commonest mistakes, most frequent first."""
    task_confusions: dict[str, list[Confusion]] = {}
    """The same of the further tasks, by name."""


class Certainty(Resource):
    """How far the scores can be trusted; nothing of it until there is a version."""

    intervals: Intervals | None = None
    """95 % bootstrap intervals of the scores."""
    baselines: list[Baseline] = []
    """What simple models reach on the same rows."""
    slices: list[SliceScores] = []
    """Scores on parts of the same rows."""
    sentences: list[str] = []
    """The same in words."""


class Environment(Resource):
    """Where and with what the job ran."""

    device: str | None = None
    """What it ran on."""
    worker: str | None = None
    """Who ran it."""
    libraries: dict[str, str] = {}
    """Versions by name; empty unless there is a version of the model."""
    usage: Usage
    """What it cost."""


class Report(Resource):
    """One job from data to scores."""

    title: str
    """The version it made, or the model it is for."""
    summary: str
    """One or two sentences: what was trained, how well it does, what to look at."""
    generated_at: datetime
    """When this was put together."""
    job_id: str
    """The job."""
    status: Status
    """How far it is."""
    status_reason: str | None
    """One sentence: what is happening, or why it ended."""
    model: str
    """Name in the registry."""
    version: int | None
    """Its version; null unless it succeeded."""
    family: str
    """Architecture."""
    problem_type: ProblemType = "single_label"
    """Whether a row has one label or any number of them."""
    thresholds: dict[str, float] | None = None
    """Of multi_label, once there is a version: the probability from which each label is given."""
    base_model: BaseModelRef
    """Where the weights came from."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When a worker first took it."""
    finished_at: datetime | None
    """When it ended."""
    stop_reason: str | None
    """Why training ended."""
    error_code: str | None
    """Why it failed, as a stable name."""
    error_detail: str | None
    """Why it failed."""
    error_remedy: str | None
    """What to do about it."""
    best: BestMetric | None
    """The evaluation that picked the checkpoint."""
    publication: Publication
    """How it was trained, line by line."""
    data: DataSection
    """What it learned from."""
    hyperparameters: list[ReportedHyperparameter]
    """Every hyperparameter with its value."""
    curves: list[ReportedCurve]
    """The losses first, then the scores, then the others."""
    scores: list[ScoreSection]
    """Validation first, then test."""
    certainty: Certainty = Certainty()
    """How sure the scores are, and whether simple models do as well."""
    exports: list[ExportVerdict]
    """What was handed back, and how it compared with the trained model."""
    diagnoses: list[Diagnosis]
    """What the whole history says, the gravest first."""
    issues: DataIssues | None
    """What the kept checkpoint shows about the data; null until the job has succeeded."""
    inspection: Inspection | None = None
    """What the network is made of; null until a worker has loaded it."""
    environment: Environment
    """Where and with what it ran."""
    warnings: list[JobWarning]
    """What did not stop it, but is worth a look."""
    metadata: dict[str, str]
    """Your own pairs."""
