"""The tables of what calls are split into and what became of their answers."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base


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
