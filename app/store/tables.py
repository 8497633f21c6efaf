"""The ORM classes: rows, constraints and indexes, and nothing that acts on them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, always aware and always UTC in Python, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they are how an hour gets lost."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time back in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# None is SQL NULL, not the JSON word null, so that "is null" means what it says.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# Only an INTEGER primary key counts by itself in SQLite, where every integer has 64 bits anyway.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: Json, list[Any]: Json, str: String()}


class Dataset(Base):
    """One immutable dataset; its canonical rows are an artifact."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    sha256: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    format: Mapped[str]
    labels: Mapped[list[Any]]
    counts: Mapped[dict[str, Any]]
    profile: Mapped[dict[str, Any]]
    artifact_key: Mapped[str]
    provenance: Mapped[dict[str, Any] | None]  # Provenance; of imported ones only
    created_at: Mapped[datetime]


class Errand:
    """What every errand of a worker has beside a job's own table; its attempt number is the fencing token."""

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    status_reason: Mapped[str]
    request: Mapped[dict[str, Any]]  # every default written out
    attempt: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Import(Errand, Base):
    """One fetch of a dataset by a worker."""

    __tablename__ = "imports"

    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))

    __table_args__ = (
        CheckConstraint("status in ('queued','running','succeeded','failed')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until is not null)", name="lease_while_running"),
        Index("ix_imports_status_created_at", "status", "created_at"),
    )


class BatchPrediction(Errand, Base):
    """One classification of many texts by a worker, with a version that was resolved when it was asked for."""

    __tablename__ = "batch_predictions"

    model_name: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))
    input_key: Mapped[str]  # the artifact with the texts
    input_sha256: Mapped[str]
    rows: Mapped[int]
    rows_done: Mapped[int] = mapped_column(default=0)
    rows_per_second: Mapped[float | None]
    lost_count: Mapped[int] = mapped_column(default=0)  # workers lost in a row without a chunk between
    cancel_requested_at: Mapped[datetime | None]
    columns: Mapped[dict[str, Any]]  # BatchColumns: what the version's answers have, for CSV
    judging: Mapped[dict[str, Any] | None]  # Judging: of an evaluation, what its answers are judged by
    judgement: Mapped[dict[str, Any] | None]  # Judgement: what came out of it

    __table_args__ = (
        CheckConstraint("status in ('queued','running','succeeded','failed','cancelled')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until is not null)", name="lease_while_running"),
        CheckConstraint("rows_done between 0 and rows", name="rows_done"),
        Index("ix_batch_predictions_status_created_at", "status", "created_at"),
    )


class BatchChunk(Base):
    """Answers that are in the artifact store and count: the chunks of a batch in their order, without a gap."""

    __tablename__ = "batch_chunks"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch_predictions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    rows: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    artifact_key: Mapped[str]


class BatchEvent(Base):
    """One line of the history of a batch prediction."""

    __tablename__ = "batch_events"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch_predictions.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    type: Mapped[str]
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]


class Job(Base):
    """One unit of work and everything the service knows of it; SQL is the truth, the broker only a doorbell."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    status: Mapped[str]
    phase: Mapped[str | None]
    status_reason: Mapped[str | None]

    model_name: Mapped[str] = mapped_column(index=True)
    family: Mapped[str]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    base_model: Mapped[dict[str, Any]]  # BaseModelRef
    request: Mapped[dict[str, Any]]  # the request as validated, every default written out
    request_sha256: Mapped[str]
    hyperparameters: Mapped[dict[str, Any]]  # as requested, then as resolved
    resolutions: Mapped[list[Any]]

    queue: Mapped[str] = mapped_column(default="default")
    priority: Mapped[int] = mapped_column(default=0)
    run_at: Mapped[datetime]
    turn_at: Mapped[datetime | None]  # the earliest is next: run_at, moved by what its priority is worth
    rung_at: Mapped[datetime | None]  # when the doorbell was last rung for this job

    attempt: Mapped[int] = mapped_column(default=0)  # the fencing token of every worker write
    crash_count: Mapped[int] = mapped_column(default=0)
    interruption_count: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]  # end training with the best checkpoint so far

    worker: Mapped[dict[str, Any] | None]  # WorkerRef
    progress: Mapped[dict[str, Any]]  # Progress
    phase_history: Mapped[list[Any]]  # [PhaseSpan]
    best_metric: Mapped[dict[str, Any] | None]  # BestMetric
    last_metrics: Mapped[dict[str, Any]]
    evaluations: Mapped[dict[str, Any]]  # split -> Evaluation
    stop_reason: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[Any]]
    diagnoses: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  # of the newest examination
    usage: Mapped[dict[str, Any]]  # Usage
    inspection: Mapped[dict[str, Any] | None]  # Inspection; once a worker has loaded the network
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata")

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status in ('queued','running','succeeded','failed','cancelled')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until is not null)", name="lease_while_running"),
        CheckConstraint(
            "(status in ('succeeded','failed','cancelled')) = (finished_at is not null)", name="finished_when_terminal"
        ),
        CheckConstraint("attempt >= 0", name="attempt"),
        Index(
            "ix_jobs_claimable",
            "turn_at",
            "id",
            postgresql_where=text("status = 'queued'"),
            sqlite_where=text("status = 'queued'"),
        ),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        Index(
            "ix_jobs_leases",
            "lease_until",
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
    )


class JobDataset(Base):
    """A further dataset of a job with several tasks; like the job's own, it stays as long as the job."""

    __tablename__ = "job_datasets"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True, index=True)


class JobEvent(Base):
    """Append-only history of a job; status events are written in the transaction of the transition itself."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    seq: Mapped[int]  # 1, 2, 3, ... within the job, without a gap
    attempt: Mapped[int]
    type: Mapped[str]
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]

    __table_args__ = (UniqueConstraint("job_id", "seq"),)


class MetricPoint(Base):
    """One point of one curve of a job."""

    __tablename__ = "metric_points"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    name: Mapped[str]
    step: Mapped[int]
    epoch: Mapped[float]
    value: Mapped[float]
    at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("job_id", "name", "step", "attempt"),)


class Model(Base):
    """A name in the registry; ``revision`` grows with each change of its aliases, so that none ever repeats."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(default=0)
    last_version: Mapped[int | None]  # so that the number of a deleted version never comes back
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ModelVersion(Base):
    """One immutable version; ``UNIQUE(job_id)`` is the last line of defence against publishing a job twice."""

    __tablename__ = "model_versions"

    id: Mapped[str] = mapped_column(primary_key=True)
    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"))
    version: Mapped[int]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), unique=True)
    attempt: Mapped[int]
    artifact_prefix: Mapped[str]
    manifest: Mapped[dict[str, Any]]
    manifest_sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("model_name", "version"),)


class ModelAlias(Base):
    """A movable name for one version; ``revision`` is the model's at its last move, and the ETag."""

    __tablename__ = "model_aliases"

    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    revision: Mapped[int]
    updated_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(["model_name", "version"], ["model_versions.model_name", "model_versions.version"]),
    )


class AliasPolicy(Base):
    """What a version must keep before an alias may name it; ``revision`` is the model's at its last change."""

    __tablename__ = "alias_policies"

    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    policy: Mapped[dict[str, Any]]
    revision: Mapped[int]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]


class AliasTraffic(Base):
    """How the calls of an alias are split; ``revision`` is the model's at its last change, and the ETag.

    The versions stand in columns of their own too: the database lets none of them be deleted.
    """

    __tablename__ = "alias_traffic"

    model_name: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    traffic: Mapped[dict[str, Any]]  # Traffic
    canary_version: Mapped[int | None]
    shadow_version: Mapped[int | None]
    revision: Mapped[int]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(["model_name", "alias"], ["model_aliases.model_name", "model_aliases.alias"]),
        ForeignKeyConstraint(["model_name", "canary_version"], ["model_versions.model_name", "model_versions.version"]),
        ForeignKeyConstraint(["model_name", "shadow_version"], ["model_versions.model_name", "model_versions.version"]),
    )


class ShadowCount(Base):
    """Texts that two versions were compared on, or not, added up over all processes; see app.store.shadows.

    The versions may be gone: what a process counts of them meanwhile harms nothing.
    """

    __tablename__ = "shadow_counts"

    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    answered_version: Mapped[int] = mapped_column(primary_key=True)
    shadow_version: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    one: Mapped[str] = mapped_column(primary_key=True)
    other: Mapped[str] = mapped_column(primary_key=True)
    texts: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[float]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("kind in ('compared','agreed','labels','dropped')", name="kind"),)


class LoggedPrediction(Base):
    """One answer that was logged, and what was said of it; forgotten at ``expires_at`` or with its version."""

    __tablename__ = "predictions"

    id: Mapped[str] = mapped_column(primary_key=True)
    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"))
    alias: Mapped[str]
    version: Mapped[int]
    at: Mapped[datetime]
    label: Mapped[str]
    labels: Mapped[list[Any] | None]
    score: Mapped[float]
    tokens: Mapped[int]
    text: Mapped[str | None]  # redacted, unless the log says otherwise
    expires_at: Mapped[datetime] = mapped_column(index=True)
    truth: Mapped[list[Any] | None]
    right: Mapped[bool | None]
    feedback_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(
            '(truth is null) = ("right" is null) and (truth is null) = (feedback_at is null)', name="feedback_whole"
        ),
        Index("ix_predictions_model_name_version_id", "model_name", "version", "id"),
    )


class LiveCount(Base):
    """Texts of one bin that a version answered in one hour, added up over all processes; see app.store.live."""

    __tablename__ = "live_counts"

    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    bin: Mapped[str] = mapped_column(primary_key=True)
    texts: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("kind in ('texts','labels','confidence','tokens')", name="kind"),)


class AliasMove(Base):
    """Append-only history of an alias, written in the transaction of the move itself."""

    __tablename__ = "alias_moves"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    model_name: Mapped[str] = mapped_column(ForeignKey("models.name"))
    alias: Mapped[str]
    kind: Mapped[str]
    from_version: Mapped[int | None]
    to_version: Mapped[int | None]
    actor: Mapped[str]
    forced: Mapped[bool]
    reason: Mapped[str | None]
    checks: Mapped[list[Any]]
    traffic: Mapped[dict[str, Any] | None]  # Traffic since then; null: as before
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("kind in ('move','rollback','remove','traffic')", name="kind"),
        Index("ix_alias_moves_model_name_alias_id", "model_name", "alias", "id"),
    )


class DiscardedArtifact(Base):
    """Files of a deleted version, to be removed when nobody can still be reading them."""

    __tablename__ = "discarded_artifacts"

    prefix: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    discarded_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The answer once given to a key; the primary key makes two concurrent equal requests one."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)  # method and path
    body_sha256: Mapped[str]
    status_code: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Worker(Base):
    """A worker process that is, or was lately, alive."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    hostname: Mapped[str]
    pid: Mapped[int]
    device: Mapped[str | None]
    slots: Mapped[int]
    queues: Mapped[list[Any]]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
