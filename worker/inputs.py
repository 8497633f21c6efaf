"""What an attempt works on: the job's row and its dataset, brought to this machine and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.artifacts.bundle import sha256_of
from app.artifacts.store import ArtifactStore
from app.errors import JobFailure, NotFound
from app.schemas.datasets import DatasetProfile, ProblemType
from app.schemas.families import MultitaskOptions
from app.schemas.jobs import BaseModelRef, DatasetRef, TrainJobRequest
from app.store import datasets, jobs, tables
from worker.events import TaskSpec


@dataclass(frozen=True)
class Source:
    """One dataset of a job."""

    dataset: DatasetRef
    labels: list[str]
    artifact_key: str


@dataclass(frozen=True)
class Inputs:
    """A job as the worker needs it."""

    request: TrainJobRequest
    base_model: BaseModelRef
    source: Source
    tasks: dict[str, Source]
    """Of the further tasks of a multitask job, by name and in their order."""
    problem_type: ProblemType
    profile: DatasetProfile
    request_sha256: str
    trained_seconds: float
    """What earlier attempts have taken of the job's budget."""


def read(session: Session, job_id: str) -> Inputs:
    """Read a claimed job and its datasets, which exist: foreign keys keep the ones, the claim the other."""
    job = jobs.get(session, job_id)
    if job is None:
        raise LookupError(job_id)
    dataset = _dataset(session, job.dataset_id)
    request, profile = TrainJobRequest.model_validate(job.request), DatasetProfile.model_validate(dataset.profile)
    tasks = request.family.tasks if isinstance(request.family, MultitaskOptions) else {}
    return Inputs(
        request=request,
        base_model=BaseModelRef.model_validate(job.base_model),
        source=_source(dataset),
        tasks={name: _source(_dataset(session, task.dataset_id)) for name, task in tasks.items()},
        problem_type=profile.problem_type if request.problem_type == "auto" else request.problem_type,
        profile=profile,
        request_sha256=job.request_sha256,
        trained_seconds=float(job.usage.get("trained_seconds") or 0.0),
    )


def _dataset(session: Session, dataset_id: str) -> tables.Dataset:
    dataset = datasets.get(session, dataset_id)
    if dataset is None:
        raise LookupError(dataset_id)
    return dataset


def _source(dataset: tables.Dataset) -> Source:
    ref = DatasetRef.model_validate({"id": dataset.id, "sha256": dataset.sha256, "counts": dataset.counts})
    return Source(ref, list(dataset.labels), dataset.artifact_key)


def fetch_rows(artifacts: ArtifactStore, source: Source, place: Path) -> None:
    """Bring the rows of a dataset to ``place``.

    Raises JobFailure ``damaged-dataset`` when they are missing or not those that the dataset was made of, Unavailable.
    """
    try:
        artifacts.fetch(source.artifact_key, place)
    except NotFound as error:
        raise _damaged(source.dataset, "its rows are missing from the artifact store") from error
    if sha256_of(place) != source.dataset.sha256:
        raise _damaged(source.dataset, "its rows are not those that were uploaded")


def fetch_tasks(artifacts: ArtifactStore, tasks: Mapping[str, Source], folder: Path) -> list[TaskSpec]:
    """Bring the rows of further tasks into ``folder``. Raises as ``fetch_rows`` does."""
    brought = []
    for number, (name, source) in enumerate(tasks.items()):
        place = folder / f"rows-{number}.jsonl"
        fetch_rows(artifacts, source, place)
        brought.append(TaskSpec(name=name, dataset_file=place, dataset=source.dataset, labels=source.labels))
    return brought


def _damaged(dataset: DatasetRef, what: str) -> JobFailure:
    return JobFailure(
        detail=f"Dataset {dataset.id} is damaged: {what}.",
        code="damaged-dataset",
        remedy="Upload the data again and submit the job with the new dataset.",
        kind="data",
    )
