"""Makes the Job that clients see out of rows: nothing here changes anything."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.orm import Session

from app.schemas.diagnoses import Diagnosis
from app.schemas.hyperparameters import Resolution
from app.schemas.inspections import Inspection
from app.schemas.jobs import (
    TERMINAL,
    Action,
    BaseModelRef,
    BestMetric,
    DatasetRef,
    Job,
    JobMetrics,
    JobResult,
    JobWarning,
    PhaseSpan,
    Progress,
    Status,
    TrainJobRequest,
    WorkerRef,
)
from app.schemas.metrics import Evaluation
from app.schemas.usage import Usage
from app.store import datasets, jobs, models, tables, workers


def describe(session: Session, row: tables.Job, *, silence_seconds: float) -> Job:
    """Give one job; ``silence_seconds`` is how long a worker may be silent and still count as there."""
    return describe_all(session, [row], silence_seconds=silence_seconds)[0]


def describe_all(session: Session, rows: Sequence[tables.Job], *, silence_seconds: float) -> list[Job]:
    """Give several jobs, with a handful of queries for all of them."""
    published = models.of_jobs(session, [row.id for row in rows if row.status == "succeeded"])
    waiting = any(row.status == "queued" for row in rows)
    crew = workers.alive(session, silence_seconds) if waiting else []
    return [_describe(session, row, published.get(row.id), crew) for row in rows]


def _describe(
    session: Session, row: tables.Job, version: tables.ModelVersion | None, crew: Sequence[tables.Worker]
) -> Job:
    position = jobs.queue_position(session, row) if row.status == "queued" else None
    request = TrainJobRequest.model_validate(row.request)
    return Job.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "status": row.status,
            "phase": row.phase,
            "phase_history": [PhaseSpan.model_validate(span) for span in row.phase_history],
            "status_reason": _reason(row, position, crew),
            "progress": Progress.model_validate(row.progress),
            "queue_position": position,
            "attempt": row.attempt,
            "max_attempts": row.max_attempts,
            "worker": None if row.worker is None else WorkerRef.model_validate(row.worker),
            "profile": request.profile,
            "model": row.model_name,
            "family": row.family,
            "family_options": request.family,
            "base_model": BaseModelRef.model_validate(row.base_model),
            "dataset": _dataset(session, row.dataset_id),
            "hyperparameters": row.hyperparameters,
            "resolutions": [Resolution.model_validate(item) for item in row.resolutions],
            "text": request.text,
            "export": request.export,
            "inspection": None if row.inspection is None else Inspection.model_validate(row.inspection),
            "decision": request.decision,
            "metrics": _metrics(row, version),
            "stop_reason": row.stop_reason,
            "result": None if version is None else _result(version),
            "error": row.error,
            "diagnoses": [Diagnosis.model_validate(item) for item in row.diagnoses],
            "warnings": [JobWarning.model_validate(item) for item in row.warnings],
            "usage": Usage.model_validate(row.usage),
            "queue": row.queue,
            "priority": row.priority,
            "metadata": row.user_metadata,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "allowed_actions": allowed_actions(row),
            "links": _links(row, version),
        }
    )


def allowed_actions(row: tables.Job) -> list[Action]:
    """Name what may be asked of the job in its present status."""
    if cast(Status, row.status) in TERMINAL or row.cancel_requested_at is not None:
        return []
    return ["cancel", "stop"] if row.attempt > 0 and row.stop_requested_at is None else ["cancel"]


def _reason(row: tables.Job, position: int | None, crew: Sequence[tables.Worker]) -> str | None:
    """Say why a queued job still waits; in any other status its row says what is going on."""
    if position is None:
        return row.status_reason
    before = "" if position == 0 else f" {position} {'job' if position == 1 else 'jobs'} before this one."
    if not crew:
        return f"Waiting for a worker: none is connected.{before}"
    if not any(row.queue in worker.queues for worker in crew):
        return f"Waiting for a worker: none that is connected takes jobs of the queue {row.queue}.{before}"
    if row.attempt > 0 and row.status_reason:
        return f"{row.status_reason.rstrip('.')}. Waiting for its next attempt.{before}"
    return f"Waiting for a worker to be free.{before}"


def dataset_ref(dataset: tables.Dataset) -> DatasetRef:
    """Give the part of a dataset that a job is pinned to."""
    return DatasetRef.model_validate({"id": dataset.id, "sha256": dataset.sha256, "counts": dataset.counts})


def _dataset(session: Session, dataset_id: str) -> DatasetRef:
    dataset = datasets.get(session, dataset_id)
    if dataset is None:
        raise LookupError(f"{dataset_id}: a foreign key holds it")
    return dataset_ref(dataset)


def _metrics(row: tables.Job, version: tables.ModelVersion | None) -> JobMetrics:
    """Give the scores so far; once there is a version, its own: thresholds may have been tuned after training."""
    published = version.manifest if version is not None else {}
    scores = dict(row.evaluations) | {
        split: published[split] for split in ("validation", "test") if published.get(split)
    }
    evaluations = {split: Evaluation.model_validate(value) for split, value in scores.items()}
    return JobMetrics(
        best=None if row.best_metric is None else BestMetric.model_validate(row.best_metric),
        last=row.last_metrics,
        validation=evaluations.get("validation"),
        test=evaluations.get("test"),
    )


def _result(version: tables.ModelVersion) -> JobResult:
    files: dict[str, Any] = version.manifest.get("files", {})
    return JobResult(model=version.model_name, version=version.version, artifacts=sorted(files))


def _links(row: tables.Job, version: tables.ModelVersion | None) -> dict[str, str]:
    here = f"/jobs/{row.id}"
    links = {
        "self": here,
        "events": f"{here}/events",
        "metrics": f"{here}/metrics",
        "report": f"{here}/report",
        "logs": f"{here}/logs",
        "artifacts": f"{here}/artifacts",
        "dataset": f"/datasets/{row.dataset_id}",
    }
    links |= {action: f"{here}/{action}" for action in allowed_actions(row)}
    if version is not None:
        links["version"] = f"/models/{version.model_name}/versions/{version.version}"
        links["predict"] = f"/models/{version.model_name}:{version.version}/predict"
    return links
