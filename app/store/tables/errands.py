"""The tables of errands: imports and batch predictions."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base


class Errand:
    """What every errand of a worker has beside a job's own table; its attempt number is the fencing token."""

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    status_reason: Mapped[str]
    request: Mapped[dict[str, Any]]  # every default written out
    attempt: Mapped[int] = mapped_column(default=0)
    lost_count: Mapped[int] = mapped_column(default=0)  # workers lost in a row without getting on
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Import(Errand, Base):
    """One fetch of a dataset by a worker."""

    __tablename__ = "imports"

    lost_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # younger than the table
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
