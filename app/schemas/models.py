"""The registry: a model is a name, a version an immutable bundle, an alias a movable name for a version."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.schemas.base import Resource, StrictModel
from app.schemas.datasets import ProblemType
from app.schemas.decisions import Decision
from app.schemas.jobs import BaseModelRef, DatasetRef, ServedFormat
from app.schemas.judgements import AnswersRef, Baseline, Intervals, SliceScores
from app.schemas.metrics import Evaluation

Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=500), Field(description="A sentence of 1 to 500 characters.")
]


class AliasMove(StrictModel):
    """Point an alias at a version."""

    version: int
    """The number of an existing version."""
    force: bool = False
    """Move even if the policy of the alias says no; the history tells who did and why."""
    reason: Reason | None = None
    """Why, for the history; needed to force."""

    @model_validator(mode="after")
    def _forced_for_a_reason(self) -> Self:
        if self.force and self.reason is None:
            raise ValueError("force needs reason; say why the policy is overruled")
        return self


class Alias(Resource):
    """One movable name."""

    alias: str
    """Its name."""
    version: int
    """The version it names now."""
    revision: int
    """Grows with each move; the ETag that ``If-Match`` wants."""
    updated_at: datetime
    """When it was moved last."""


class VersionSummary(Resource):
    """One version in a list."""

    version: int
    """Its number: 1, 2, 3, ..."""
    id: str
    """Its id, the same for ever."""
    job_id: str
    """The job that trained it."""
    base_model: BaseModelRef
    """What its training started from."""
    aliases: list[str]
    """The aliases that name it now."""
    metrics: dict[str, float]
    """Scalar scores, by ``validation/...`` and ``test/...``."""
    bytes: int
    """Size of all its files."""
    created_at: datetime
    """When it was published."""


class ExportLatency(Resource):
    """How long answers take, in milliseconds, on one thread of the worker's processor; a guide, not a benchmark."""

    batch_1_ms: float
    """One text of usual length, alone."""
    batch_32_ms: float | None
    """Each of 32 texts of all lengths together; null where 32 would have taken too long."""


class ExportVerdict(Resource):
    """What became of one exported format: loaded again, compared with the trained model, measured."""

    format: str
    """The format, such as onnx."""
    file: str
    """Where it is in the bundle; a refused one is not there."""
    bytes: int
    """Of all its files together."""
    rows: int
    """Rows compared."""
    max_abs_difference: float | None
    """Largest difference of any logit; null when it could not be compared."""
    label_agreement: float | None
    """Share of the rows on which both give the same label, of multi_label the same labels; 1 is all."""
    passed: bool
    """False: refused, its files are not in the bundle."""
    reason: str | None = None
    """Why it was refused."""
    metric: str | None = None
    """What the accuracy of a reduced precision was judged by, on the validation split."""
    metric_value: float | None = None
    """Its score by that metric."""
    metric_drop: float | None = None
    """How much lower ``metric_value`` is than that of the trained model; negative when it is higher."""
    latency: ExportLatency | None = None
    """How fast it answers; null for a refused one."""


class Task(Resource):
    """One task of a multitask version: what its head answers, and what that was trained on."""

    name: str
    """Its name."""
    labels: list[str]
    """Label names in index order."""
    offset: int
    """Where its logits begin among those of all tasks."""
    loss_weight: float
    """How much its loss counted."""
    dataset: DatasetRef
    """The data it was trained on."""


class VersionRef(Resource):
    """A version of a model of the registry."""

    model: str
    """Its model."""
    version: int
    """Its number."""


class Parent(VersionRef):
    """A version that another one was made from."""

    relation: Literal["fine-tuned-from", "distilled-from"]
    """fine-tuned-from: training began with its weights. distilled-from: it was the teacher."""


class Lineage(Resource):
    """Where a version comes from: enough to make it again."""

    job_id: str
    """The job that trained it."""
    attempt: int
    """The attempt of the job that published it."""
    dataset: DatasetRef
    """Its data, pinned by hash; of several tasks, the main one's."""
    base_model: BaseModelRef
    """What its training started from, pinned by revision."""
    code_version: str | None
    """The release of this software that trained it; null: older than the record."""
    parents: list[Parent]
    """Versions of this registry that it was made from."""


class Version(VersionSummary):
    """Everything about one version."""

    model: str
    """The model it is a version of."""
    labels: list[str]
    """Label names in index order."""
    problem_type: ProblemType = "single_label"
    """Whether a text has one label or any number of them."""
    thresholds: dict[str, float] | None = None
    """Of multi_label: the probability from which each label is given."""
    decision: Decision = Decision()
    """How it turns what its network computes into answers."""
    tasks: list[Task] = []
    """Of a multitask version: all tasks in the order of the logits, the main one first."""
    dataset: DatasetRef
    """The data it was trained on; of a multitask version, that of the main task."""
    hyperparameters: dict[str, Any]
    """Every hyperparameter as it really was."""
    validation: Evaluation | None
    """Scores on the validation split, which chose the checkpoint."""
    test: Evaluation | None
    """Scores on the test split, which nothing was chosen by; null without one."""
    intervals: Intervals | None = None
    """How sure the scores are: 95 % bootstrap intervals."""
    baselines: list[Baseline] = []
    """What simple models reach on the same rows, and whether the version beats them."""
    slices: list[SliceScores] = []
    """Scores on parts of those rows: by length, and by the slice columns of the dataset."""
    answers: AnswersRef | None = None
    """Where its answers to those rows are; null: it cannot be compared row by row."""
    lineage: Lineage
    """Where it comes from."""
    exports: list[ExportVerdict]
    """What the verification of each export found."""
    serve: ServedFormat
    """The format that answers predictions."""
    manifest_sha256: str
    """Hash of the manifest, which holds the hash of every file."""
    files: dict[str, int]
    """Bytes by file name."""
    libraries: dict[str, str]
    """Versions of the libraries that trained it."""
    links: dict[str, str]
    """Where to go from here."""


class Model(Resource):
    """A name with its versions and aliases."""

    name: str
    """Its name."""
    latest_version: int
    """The newest version."""
    serving_version: int
    """The version that a plain name means: the alias ``champion`` if set, else the newest."""
    aliases: list[Alias]
    """Its movable names."""
    policies: list[str]
    """Aliases that have a policy; they need not be set yet."""
    splits: list[str]
    """Aliases whose calls are split between two versions, or shown to a second one."""
    created_at: datetime
    """When its first version was published."""
    updated_at: datetime
    """When a version was last published."""
    links: dict[str, str]
    """Where to go from here."""
