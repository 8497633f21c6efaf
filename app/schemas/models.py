"""The registry: a model is a name, a version an immutable bundle, an alias a movable name for a version."""

from datetime import datetime
from typing import Any

from app.schemas.base import Resource, StrictModel
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.metrics import Evaluation


class AliasMove(StrictModel):
    """Point an alias at a version."""

    version: int
    """The number of an existing version."""


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


class ExportVerdict(Resource):
    """What the server's own predictor said of an export, against the trained model."""

    format: str
    """The format, such as onnx."""
    file: str
    """Its file in the bundle."""
    bytes: int
    """Size of the file."""
    rows: int
    """Rows compared."""
    max_abs_difference: float
    """Largest difference of any logit."""
    label_agreement: float
    """Share of the rows on which both give the same label; 1 is all."""
    passed: bool
    """True: it may be served."""


class Version(VersionSummary):
    """Everything about one version."""

    model: str
    """The model it is a version of."""
    labels: list[str]
    """Label names in index order."""
    dataset: DatasetRef
    """The data it was trained on."""
    hyperparameters: dict[str, Any]
    """Every hyperparameter as it really was."""
    validation: Evaluation | None
    """Scores on the validation split, which chose the checkpoint."""
    test: Evaluation | None
    """Scores on the test split, which nothing was chosen by; null without one."""
    exports: list[ExportVerdict]
    """What the verification of each export found."""
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
    created_at: datetime
    """When its first version was published."""
    updated_at: datetime
    """When a version was last published."""
    links: dict[str, str]
    """Where to go from here."""
