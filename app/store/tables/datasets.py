"""The table of datasets."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base


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
