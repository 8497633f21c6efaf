"""A batch prediction as clients see it."""

from typing import Annotated

from fastapi import Path
from sqlalchemy.orm import Session

from app.api.deps import Services
from app.errors import NotFound
from app.ids import is_id
from app.schemas.batches import BatchOptions, BatchPrediction, BatchProgress
from app.store import batches, tables, workers

HERE = "/batch-predictions"

BatchId = Annotated[str, Path(description="The `id` of the batch.", examples=["bat_019302f4c9a57d30b2c4e6f8a0b1c2d3"])]


def describe(session: Session, row: tables.BatchPrediction, services: Services) -> BatchPrediction:
    """Give a batch as clients see it."""
    here = f"{HERE}/{row.id}"
    links = {"self": here, "events": f"{here}/events", "version": f"/models/{row.model_name}/versions/{row.version}"}
    if row.status == "succeeded":
        links["results"] = f"{here}/results"
    if row.judging is not None:
        links["evaluation"] = f"{links['version']}/evaluations/{row.id}"
    options = BatchOptions.model_validate(row.request)
    return BatchPrediction.model_validate(
        {
            "id": row.id,
            "status": row.status,
            "status_reason": reason_of(session, row, services),
            "model": row.model_name,
            "version": row.version,
            "dataset_id": row.dataset_id,
            "top_k": options.top_k,
            "return_all_scores": options.return_all_scores,
            "progress": progress_of(row),
            "attempt": row.attempt,
            "error": row.error,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "links": links,
        }
    )


def progress_of(row: tables.BatchPrediction) -> BatchProgress:
    """Say how far a batch is, and how long the rest takes."""
    speed = row.rows_per_second
    running = row.status == "running" and speed is not None and speed > 0
    return BatchProgress(
        rows_done=row.rows_done,
        rows=row.rows,
        fraction=row.rows_done / row.rows,
        rows_per_second=speed,
        eta_seconds=(row.rows - row.rows_done) / speed if running and speed else None,
    )


def reason_of(session: Session, row: tables.BatchPrediction, services: Services) -> str:
    """Say in one sentence how far a batch is."""
    if row.status == "queued" and not workers.alive(session, services.silence_seconds):
        return "Waiting for a worker: none is connected."
    return row.status_reason


def find(session: Session, batch_id: str) -> tables.BatchPrediction:
    """Find a batch. Raises NotFound ``batch-not-found``."""
    row = batches.get(session, batch_id) if is_id(batch_id, "bat") else None
    if row is None:
        raise NotFound(
            "The batch prediction does not exist.",
            code="batch-not-found",
            remedy="List them with GET /batch-predictions.",
        )
    return row
