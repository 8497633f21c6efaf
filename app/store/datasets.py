"""Datasets: rows that never change; the data itself is an artifact."""

from sqlalchemy import exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.store import cursors, tables
from app.store.engine import clock


def insert(session: Session, dataset: tables.Dataset) -> tables.Dataset:
    """Add a dataset; its time of creation is the database's."""
    dataset.created_at = clock(session)
    session.add(dataset)
    session.flush()
    return dataset


def get(session: Session, dataset_id: str) -> tables.Dataset | None:
    """Find a dataset."""
    return session.get(tables.Dataset, dataset_id)


def page(session: Session, limit: int, cursor: str | None = None) -> tuple[list[tables.Dataset], str | None]:
    """List datasets, newest first, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
    query = select(tables.Dataset).order_by(tables.Dataset.created_at.desc(), tables.Dataset.id.desc())
    if cursor is not None:
        query = query.where(cursors.older(tables.Dataset.created_at, tables.Dataset.id, cursor))
    rows = list(session.scalars(query.limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id)


def in_use(session: Session, dataset_id: str) -> bool:
    """Say whether any job, finished ones too, was made from the dataset, or a batch that has not ended reads it."""
    own, further = tables.Job.dataset_id == dataset_id, tables.JobDataset.dataset_id == dataset_id
    batch = (tables.BatchPrediction.dataset_id == dataset_id) & tables.BatchPrediction.finished_at.is_(None)
    return bool(session.scalar(select(or_(exists().where(own), exists().where(further), exists().where(batch)))))


def delete(session: Session, dataset_id: str) -> bool:
    """Remove a dataset that no job refers to; False when there is none, Conflict ``dataset-in-use`` when one does."""
    dataset = session.get(tables.Dataset, dataset_id, with_for_update=True)
    if dataset is None:
        return False
    if in_use(session, dataset_id):
        raise _in_use(dataset_id)
    session.delete(dataset)
    try:
        session.flush()
    except IntegrityError as error:  # a job came in between
        raise _in_use(dataset_id) from error
    return True


def _in_use(dataset_id: str) -> Conflict:
    return Conflict(
        f"Dataset {dataset_id} is used by a job.", "dataset-in-use", "Keep it: its jobs and versions refer to it."
    )
