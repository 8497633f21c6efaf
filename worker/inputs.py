"""What an attempt works on: the job's row and its dataset, brought to this machine and checked."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.artifacts.bundle import sha256_of
from app.artifacts.store import ArtifactStore
from app.errors import JobFailure, NotFound
from app.schemas.datasets import DatasetProfile, ProblemType
from app.schemas.jobs import BaseModelRef, DatasetRef, TrainJobRequest
from app.store import datasets, jobs


@dataclass(frozen=True)
class Inputs:
    """A job as the worker needs it."""

    request: TrainJobRequest
    base_model: BaseModelRef
    dataset: DatasetRef
    labels: list[str]
    problem_type: ProblemType
    profile: DatasetProfile
    artifact_key: str
    request_sha256: str


def read(session: Session, job_id: str) -> Inputs:
    """Read a claimed job and its dataset, which exist: a foreign key keeps the one, the claim the other."""
    job = jobs.get(session, job_id)
    dataset = None if job is None else datasets.get(session, job.dataset_id)
    if job is None or dataset is None:
        raise LookupError(job_id)
    request, profile = TrainJobRequest.model_validate(job.request), DatasetProfile.model_validate(dataset.profile)
    return Inputs(
        request=request,
        base_model=BaseModelRef.model_validate(job.base_model),
        dataset=DatasetRef(id=dataset.id, sha256=dataset.sha256, counts=dataset.counts),
        labels=list(dataset.labels),
        problem_type=profile.problem_type if request.problem_type == "auto" else request.problem_type,
        profile=profile,
        artifact_key=dataset.artifact_key,
        request_sha256=job.request_sha256,
    )


def fetch_rows(artifacts: ArtifactStore, inputs: Inputs, place: Path) -> None:
    """Bring the rows of the dataset to ``place``.

    Raises JobFailure ``damaged-dataset`` when they are missing or not those that the dataset was made of, Unavailable.
    """
    try:
        artifacts.fetch(inputs.artifact_key, place)
    except NotFound as error:
        raise _damaged(inputs.dataset, "its rows are missing from the artifact store") from error
    if sha256_of(place) != inputs.dataset.sha256:
        raise _damaged(inputs.dataset, "its rows are not those that were uploaded")


def _damaged(dataset: DatasetRef, what: str) -> JobFailure:
    return JobFailure(
        detail=f"Dataset {dataset.id} is damaged: {what}.",
        code="damaged-dataset",
        remedy="Upload the data again and submit the job with the new dataset.",
        kind="data",
    )
