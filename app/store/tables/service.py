"""The tables of the service itself: its workers, and the requests it has answered once."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.base import Base


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
    devices: Mapped[int | None]
    queues: Mapped[list[Any]]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
