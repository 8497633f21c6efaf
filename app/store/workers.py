"""Workers: who is alive, by the database's clock."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.store.engine import now, now_plus, upsert
from app.store.tables import Worker


def seen(
    session: Session,
    *,
    id: str,
    hostname: str,
    pid: int,
    device: str | None,
    slots: int,
    queues: Sequence[str],
    devices: int | None = None,
) -> None:
    """Note that a worker is alive now; ``devices`` is how many a job may train on there, None: it does not say."""
    facts = {
        "hostname": hostname,
        "pid": pid,
        "device": device,
        "slots": slots,
        "devices": devices,
        "queues": list(queues),
    }
    row = upsert(session, Worker).values(id=id, started_at=now(), last_seen_at=now(), **facts)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={**facts, "last_seen_at": now()}))


def alive(session: Session, within_seconds: float) -> list[Worker]:
    """List the workers heard of within the last seconds, by id."""
    query = select(Worker).where(Worker.last_seen_at >= now_plus(-within_seconds)).order_by(Worker.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def gone(session: Session, id: str) -> None:
    """Forget a worker that has said goodbye."""
    session.execute(delete(Worker).where(Worker.id == id))


def purge(session: Session, older_than_seconds: float) -> None:
    """Forget the workers that have long been silent."""
    session.execute(delete(Worker).where(Worker.last_seen_at < now_plus(-older_than_seconds)))
