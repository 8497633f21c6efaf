"""Jobs: what a client asks for and what it sees of the work."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.base import Metadata, ModelName, Resource, StrictModel
from app.schemas.datasets import SplitName
from app.schemas.hyperparameters import Hyperparameters, Resolution
from app.schemas.metrics import Evaluation
from app.schemas.text import TextOptions

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Phase = Literal["preparing", "training", "evaluating", "exporting", "publishing"]
Action = Literal["cancel"]
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})

Family = Literal["encoder"]
ExportFormat = Literal["onnx"]

BASE_MODEL_PATTERN = (
    r"^(model:[a-z0-9][a-z0-9._-]{0,62}(@[a-z][a-z0-9_-]{0,31}|:[1-9][0-9]{0,8})?"
    r"|[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?)$"
)
DEFAULT_BASE_MODEL = "distilbert-base-uncased"
PACKAGED_BASE_MODEL = "minilm-l6"


class ExportOptions(StrictModel):
    """What is handed back beside the weights. Every format is verified before a version exists."""

    formats: Annotated[list[ExportFormat], Field(min_length=1)] = ["onnx"]


class TrainJobRequest(StrictModel):
    """Fine-tune a text classifier and register the result as the next version of ``model``."""

    kind: Literal["train"] = "train"
    model: ModelName
    """Name in the registry; made when it does not exist yet."""
    dataset_id: Annotated[str, Field(examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"])]
    """A dataset uploaded through POST /datasets."""
    family: Family = "encoder"
    """encoder: a pretrained transformer with a classification head on its first token."""
    base_model: Annotated[
        str,
        Field(
            pattern=BASE_MODEL_PATTERN, examples=["distilbert-base-uncased", "minilm-l6", "model:sentiment@champion"]
        ),
    ] = DEFAULT_BASE_MODEL
    """A Hugging Face id, a folder the operator configured, minilm-l6 (ships with the worker), model:NAME[@ALIAS|:N]."""
    hyperparameters: Hyperparameters = Hyperparameters()
    text: TextOptions = TextOptions()
    export: ExportOptions = ExportOptions()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Higher runs sooner."""
    metadata: Metadata = {}


class Progress(Resource):
    """How far a running job is."""

    fraction: float = 0.0
    step: int = 0
    total_steps: int | None = None
    epoch: float = 0.0
    num_train_epochs: int | None = None
    loss: float | None = None
    learning_rate: float | None = None
    eta_seconds: float | None = None
    examples_per_second: float | None = None


class PhaseSpan(Resource):
    """When a phase began and ended."""

    phase: Phase
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None


class BestMetric(Resource):
    """The evaluation that picked the checkpoint."""

    name: str
    value: float
    step: int
    epoch: float


class JobMetrics(Resource):
    """Scores so far."""

    best: BestMetric | None = None
    last: dict[str, float] = {}
    """The newest value of every curve, by name."""
    validation: Evaluation | None = None
    test: Evaluation | None = None


class WorkerRef(Resource):
    """Who runs the job."""

    id: str
    device: str | None = None


class DatasetRef(Resource):
    """The data of a job, pinned by hash."""

    id: str
    sha256: str
    counts: dict[SplitName, int]


class BaseModelRef(Resource):
    """Where the weights came from; ``revision`` is a hub commit, a package version or a version of our own."""

    id: str
    source: Literal["hub", "package", "folder", "version"]
    revision: str | None = None


class JobResult(Resource):
    """What a succeeded job left behind."""

    model: str
    version: int
    artifacts: list[str]


class JobWarning(Resource):
    """Something worth knowing that did not stop the job."""

    code: str
    detail: str
    remedy: str | None = None


class Usage(Resource):
    """What the job cost."""

    wall_seconds: float | None = None
    train_seconds: float | None = None
    gpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    phases: dict[str, float] = {}
    """Seconds by phase."""


class Job(Resource):
    """One unit of work, from request to result."""

    id: str
    kind: Literal["train"]
    status: Status
    phase: Phase | None
    phase_history: list[PhaseSpan]
    status_reason: str | None
    """One sentence for people: what is happening, or why it ended."""
    progress: Progress
    queue_position: int | None
    """Jobs that run before this one; null unless queued."""
    attempt: int
    max_attempts: int
    worker: WorkerRef | None
    model: str
    family: Family
    base_model: BaseModelRef
    dataset: DatasetRef
    hyperparameters: dict[str, Any]
    """Every hyperparameter with its value; what ``auto`` became is filled in when the job has prepared its data."""
    resolutions: list[Resolution]
    """What each ``auto`` became, and why."""
    text: TextOptions
    export: ExportOptions
    metrics: JobMetrics
    stop_reason: str | None
    """Why training ended: ``completed``, ``early_stopping`` or ``max_steps``."""
    result: JobResult | None
    error: dict[str, Any] | None
    """Why a failed job failed: code, category, phase, detail, remedy."""
    warnings: list[JobWarning]
    usage: Usage
    priority: int
    metadata: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    allowed_actions: list[Action]
    links: dict[str, str]


class JobEvent(Resource):
    """One line of a job's history, in order; ``seq`` is the Last-Event-ID of the event stream."""

    seq: int
    job_id: str
    attempt: int
    type: str
    """``status``, ``phase``, ``resolved``, ``step``, ``evaluated``, ``stopped``, ``warning``, ``log``."""
    at: datetime
    data: dict[str, Any]
