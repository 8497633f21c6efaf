"""The tables of jobs and of what is known of their course."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base, RowId


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
