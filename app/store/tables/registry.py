"""The tables of models, their versions and the names that lead to them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base, RowId


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
