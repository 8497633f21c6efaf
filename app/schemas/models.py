"""The registry: a model is a name, a version an immutable bundle, an alias a movable name for a version."""

from datetime import datetime
from typing import Any

from app.schemas.base import Resource, StrictModel
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.metrics import Evaluation


class AliasMove(StrictModel):
    """Point an alias at a version."""

    version: int


class Alias(Resource):
    """One movable name."""

    alias: str
    version: int
    revision: int
    """Grows with each move; the ETag that ``If-Match`` wants."""
    updated_at: datetime


class VersionSummary(Resource):
    """One version in a list."""

    version: int
    id: str
    job_id: str
    base_model: BaseModelRef
    aliases: list[str]
    metrics: dict[str, float]
    """Scalar scores, by ``validation/...`` and ``test/...``."""
    bytes: int
    created_at: datetime


class ExportVerdict(Resource):
    """What the server's own predictor said of an export, against the trained model."""

    format: str
    file: str
    bytes: int
    rows: int
    """Rows compared."""
    max_abs_difference: float
    """Largest difference of any logit."""
    label_agreement: float
    passed: bool


class Version(VersionSummary):
    """Everything about one version."""

    model: str
    labels: list[str]
    dataset: DatasetRef
    hyperparameters: dict[str, Any]
    validation: Evaluation | None
    test: Evaluation | None
    exports: list[ExportVerdict]
    manifest_sha256: str
    files: dict[str, int]
    """Bytes by file name."""
    libraries: dict[str, str]
    links: dict[str, str]


class Model(Resource):
    """A name with its versions and aliases."""

    name: str
    latest_version: int
    serving_version: int
    """The version that a plain name means: the alias ``champion`` if set, else the newest."""
    aliases: list[Alias]
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]
