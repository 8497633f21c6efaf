"""Jobs: what a client asks for and what it sees of the work."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.base import BASE_MODEL_PATTERN, Auto, Metadata, ModelName, Resource, StrictModel
from app.schemas.datasets import ProblemType, SplitName
from app.schemas.decisions import DecisionOptions
from app.schemas.diagnoses import Diagnosis
from app.schemas.families import EncoderOptions, Family, FamilyName, FamilyOptions
from app.schemas.hyperparameters import Hyperparameters, Resolution
from app.schemas.inspections import Inspection
from app.schemas.metrics import Evaluation
from app.schemas.profiles import ProfileName
from app.schemas.text import TextOptions
from app.schemas.usage import Usage

Queue = Literal["default", "gpu", "cpu"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Phase = Literal["preparing", "training", "evaluating", "exporting", "publishing"]
Action = Literal["cancel", "stop"]
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})

ServedFormat = Literal["onnx", "onnx-int8", "onnx-fp16"]
ExportFormat = Literal[ServedFormat, "torchscript", "torch-export", "safetensors"]

DEFAULT_BASE_MODEL = "distilbert-base-uncased"
PACKAGED_BASE_MODEL = "minilm-l6"


class ExportOptions(StrictModel):
    """What is handed back beside the weights. Every format is verified before a version exists."""

    formats: Annotated[list[ExportFormat], Field(min_length=1, max_length=12)] = ["onnx"]
    """Formats to hand back; onnx is always among them. A further one that cannot be made or loses too much is left out
    with a warning and its reason, and the job goes on."""
    serve: ServedFormat | Auto = "onnx"
    """The format that answers predictions; it need not be named in formats as well. auto: the fastest for a single text
    among the exported ones. onnx answers where the wanted one was refused."""
    max_metric_drop: Annotated[float, Field(ge=0, le=1)] = 0.005
    """How much of the metric that picks the best checkpoint (f1_macro where that is the loss) onnx-int8 and onnx-fp16
    may lose on the validation split."""
    min_label_agreement: Annotated[float, Field(ge=0, le=1)] = 0.98
    """Share of validation rows on which onnx-int8 and onnx-fp16 must give the same label as the trained model; of
    multi_label the same labels, all of them."""

    @property
    def wanted(self) -> list[ExportFormat]:
        """Every format to make, each once, onnx first: the others are made of it or compared with it."""
        served: list[ExportFormat] = [] if self.serve == "auto" else [self.serve]
        return list(dict.fromkeys(["onnx", *self.formats, *served]))


class TrainJobRequest(StrictModel):
    """Fine-tune a text classifier and register the result as the next version of ``model``."""

    kind: Literal["train"] = "train"
    """What kind of work it is."""
    model: ModelName
    """Name in the registry; made when it does not exist yet."""
    dataset_id: Annotated[str, Field(examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"])]
    """A dataset uploaded through POST /datasets; of several tasks, the main one's."""
    profile: ProfileName | None = None
    """A set of defaults for base_model and hyperparameters; whatever else the request gives, wins over it."""
    family: Family = EncoderOptions()
    """What kind of network: encoder (a pretrained transformer with a classification head), hierarchical (the same over
    the chunks of long documents), textcnn (a convolutional network trained from scratch) or multitask (an encoder with
    a head for each of several tasks). A name, or an object with ``type`` and what is to differ from that family's
    defaults; multitask needs its ``tasks``."""
    problem_type: ProblemType | Auto = "auto"
    """single_label: every text has exactly one label; multi_label: any number of them, each decided by itself. auto:
    what the dataset is."""
    base_model: Annotated[
        str,
        Field(
            pattern=BASE_MODEL_PATTERN, examples=["distilbert-base-uncased", "minilm-l6", "model:sentiment@champion"]
        ),
    ] = DEFAULT_BASE_MODEL
    """A Hugging Face id, a folder the operator configured, minilm-l6 (ships with the worker), model:NAME[@ALIAS|:N]."""
    hyperparameters: Hyperparameters = Hyperparameters()
    """How to train; all of it has defaults."""
    text: TextOptions = TextOptions()
    """What is done to each text before it is tokenized, in training and in serving."""
    export: ExportOptions = ExportOptions()
    """What is handed back beside the weights."""
    decision: DecisionOptions = DecisionOptions()
    """How the version is to turn what its network computes into answers."""
    baselines: bool = True
    """Also train simple models on the same rows, always the commonest label and counted words, and say whether the
    version beats them; false: leave that out, which saves some seconds."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Higher runs sooner: a point is worth a minute of waiting, so that nothing waits for ever."""
    queue: Queue = "default"
    """Who may take it: default, any worker; gpu, only workers with a GPU; cpu, only those without one."""
    metadata: Metadata = {}


class Progress(Resource):
    """How far a running job is."""

    fraction: float = 0.0
    """0 to 1."""
    step: int = 0
    """Optimizer steps done."""
    total_steps: int | None = None
    """Optimizer steps at most; null until the data is prepared."""
    epoch: float = 0.0
    """Passes over the training split so far."""
    num_train_epochs: int | None = None
    """Passes at most."""
    loss: float | None = None
    """The newest training loss."""
    learning_rate: float | None = None
    """The learning rate now."""
    eta_seconds: float | None = None
    """How long it will still train, if nothing stops it early."""
    examples_per_second: float | None = None
    """Texts trained on in a second."""


class PhaseSpan(Resource):
    """When a phase began and ended."""

    phase: Phase
    """The phase."""
    attempt: int
    """The attempt it belongs to."""
    started_at: datetime
    """When it began."""
    finished_at: datetime | None = None
    """When it ended; null: it is going on."""


class BestMetric(Resource):
    """The evaluation that picked the checkpoint."""

    name: str
    """The metric, as `metric_for_best_model` names it."""
    value: float
    """Its value on the validation split."""
    step: int
    """Optimizer step of the checkpoint."""
    epoch: float
    """Epoch of the checkpoint."""


class JobMetrics(Resource):
    """Scores so far."""

    best: BestMetric | None = None
    """The evaluation that the published weights come from."""
    last: dict[str, float] = {}
    """The newest value of every curve, by name."""
    validation: Evaluation | None = None
    """Scores of the best checkpoint so far on the validation split; in the end with the thresholds of the version."""
    test: Evaluation | None = None
    """Scores on the test split, judged once at the end."""


class WorkerRef(Resource):
    """Who runs the job."""

    id: str
    """The worker's id."""
    device: str | None = None
    """What it computes on."""


class DatasetRef(Resource):
    """The data of a job, pinned by hash."""

    id: str
    """The dataset."""
    sha256: str
    """Hash of its rows."""
    counts: dict[SplitName, int]
    """Rows by split."""


class BaseModelRef(Resource):
    """Where the weights came from; ``revision`` is a hub commit, a package version or a version of our own."""

    id: str
    """Its name."""
    source: Literal["hub", "package", "folder", "version", "none"]
    """Where it is from: the hub, the package that ships with the worker, a configured folder, a version of our own;
    none: the model is trained from scratch."""
    revision: str | None = None
    """What pins it: a hub commit, a package version, a version number; null: not known yet."""


class JobResult(Resource):
    """What a succeeded job left behind."""

    model: str
    """The model it became a version of."""
    version: int
    """The number of the version."""
    artifacts: list[str]
    """The files of the version."""


class JobWarning(Resource):
    """Something worth knowing that did not stop the job."""

    code: str
    """What was found, for programs: stable."""
    detail: str
    """What was found, for people."""
    remedy: str | None = None
    """What to do about it."""


class Job(Resource):
    """One unit of work, from request to result."""

    id: str
    """Its id; ids sort by time."""
    kind: Literal["train"]
    """What kind of work it is."""
    status: Status
    """queued, running, and one of the three ends."""
    phase: Phase | None
    """What a running job is doing; null otherwise."""
    phase_history: list[PhaseSpan]
    """When each phase began and ended, attempt by attempt."""
    status_reason: str | None
    """One sentence for people: what is happening, or why it ended."""
    progress: Progress
    """How far it is."""
    queue_position: int | None
    """Jobs that run before this one; null unless queued."""
    attempt: int
    """Times a worker has started it."""
    max_attempts: int
    """Crashes after which it is failed for good."""
    worker: WorkerRef | None
    """Who runs it, or ran it last."""
    profile: str | None = None
    """The profile whose defaults it took; ``resolutions`` says which."""
    model: str
    """The model it makes a version of."""
    family: FamilyName
    """The kind of network."""
    family_options: FamilyOptions = EncoderOptions()
    """The same with every option written out."""
    base_model: BaseModelRef
    """What training starts from, pinned."""
    dataset: DatasetRef
    """What it learns from, pinned."""
    hyperparameters: dict[str, Any]
    """Every hyperparameter with its value; what ``auto`` became is filled in when the job has prepared its data."""
    resolutions: list[Resolution]
    """What each ``auto`` became and what a profile gave, with the reason."""
    text: TextOptions
    """What is done to each text."""
    export: ExportOptions
    """What is handed back beside the weights."""
    inspection: Inspection | None = None
    """What the network is made of; null until a worker has loaded it."""
    decision: DecisionOptions = DecisionOptions()
    """How the version is to decide, as the job asked for it."""
    metrics: JobMetrics
    """How well its model does, so far."""
    stop_reason: str | None
    """Why training ended: ``completed``, ``early_stopping``, ``max_steps``, ``max_train_seconds``, ``max_gpu_seconds``,
    or ``stopped``, by a client."""
    result: JobResult | None
    """What it left behind; null unless succeeded."""
    error: dict[str, Any] | None
    """Why a failed job failed: code, category, phase, detail, remedy."""
    warnings: list[JobWarning]
    """What did not stop it, but is worth a look."""
    diagnoses: list[Diagnosis] = []
    """What the curves say of the run so far, the gravest first, with what to change next time; advice only."""
    usage: Usage
    """What it cost."""
    queue: Queue
    """Who may take it, as asked for."""
    priority: int
    """Higher runs sooner."""
    metadata: dict[str, str]
    """Your own pairs, as they were sent."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When a worker first took it."""
    finished_at: datetime | None
    """When it ended."""
    allowed_actions: list[Action]
    """What may be asked of it now."""
    links: dict[str, str]
    """Where to go from here."""
