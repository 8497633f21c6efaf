"""A hand on the store for tests: each verb in a transaction of its own, with what it needs filled in."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.schemas.base import Resource
from app.schemas.hyperparameters import Resolution
from app.schemas.jobs import BaseModelRef, Status, TrainJobRequest, WorkerRef
from app.store import datasets, events, jobs, models, tables
from app.store.claims import Claim
from app.store.engine import Database


class Manifest(Resource):
    """Stands in for a bundle's manifest: the store keeps it and reads nothing of it."""

    labels: list[str]


class Store:
    """The store as a client and a worker use it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.transaction() as session:
            self.dataset = datasets.insert(session, make_dataset("ds_1"))

    def do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run one verb in one transaction."""
        with self.database.transaction() as session:
            return verb(session, *args, **kwargs)

    def forget_jobs(self) -> None:
        """Delete every row but the dataset."""
        for table in reversed(tables.Job.metadata.sorted_tables):
            if table.name != "datasets":
                self.do(lambda session, table=table: session.execute(delete(table)))

    def submit(self, **wishes: Any) -> str:
        """Submit a job and give its id; see ``submit_in``."""
        return str(self.do(self.submit_in, **wishes).id)

    def submit_in(
        self,
        session: Session,
        *,
        max_attempts: int = 3,
        resolutions: Sequence[Resolution] = (),
        **request: Any,
    ) -> tables.Job:
        """Submit a job in a transaction that is open; ``request`` are fields of the body."""
        wanted = TrainJobRequest.model_validate({"model": "mood", "dataset_id": self.dataset.id} | request)
        return jobs.submit(
            session,
            request=wanted,
            request_sha256="0" * 64,
            dataset=self.dataset,
            base_model=BaseModelRef(id="minilm-l6", source="package", revision="1"),
            warnings=[],
            max_attempts=max_attempts,
            resolutions=resolutions,
        )

    def claim(self, job_id: str | None = None, *, owner: str = "wrk_1", lease: float = 60.0) -> Claim | None:
        """Claim this job, or the next one."""
        kwargs: dict[str, Any] = {
            "owner": owner,
            "queues": ["default"],
            "lease_seconds": lease,
            "worker": WorkerRef(id=owner),
        }
        if job_id is None:
            return self.do(jobs.claim_next, **kwargs)
        return self.do(jobs.claim, job_id, **kwargs)

    def running(self, *, lease: float = 60.0, **request: Any) -> Claim:
        """Submit a job and claim it."""
        claim = self.claim(self.submit(**request), lease=lease)
        assert claim is not None
        return claim

    def publish(self, claim: Claim) -> tables.ModelVersion:
        """Register the version of a claimed job."""
        return self.database.run(lambda session: publish(session, claim))

    def job(self, job_id: str) -> tables.Job:
        """Read a job."""
        job = self.do(jobs.get, job_id)
        assert job is not None
        return job

    def status(self, job_id: str) -> Status:
        """Read a job's status."""
        return self.job(job_id).status

    def events(self, job_id: str) -> list[tables.JobEvent]:
        """Read a job's whole history."""
        return self.do(events.after, job_id, 0, 100_000)

    def moves(self, job_id: str) -> list[tuple[str | None, str]]:
        """Read the transitions of a job."""
        return [(event.data["from"], event.data["to"]) for event in self.events(job_id) if event.type == "status"]


def publish(session: Session, claim: Claim) -> tables.ModelVersion:
    """Register a version the way a worker does."""
    return models.register_version(
        session,
        claim,
        manifest=Manifest(labels=["a", "b"]),
        manifest_sha256="1" * 64,
        artifact_prefix=f"models/{claim.job_id}/{claim.attempt}",
        bytes=3_000_000_000,
    )


def make_dataset(dataset_id: str) -> tables.Dataset:
    """Make a dataset row that is not in the database yet."""
    return tables.Dataset(
        id=dataset_id,
        name=None,
        sha256="2" * 64,
        bytes=3_000_000_000,
        rows=3,
        format="csv",
        labels=["a", "b"],
        counts={"train": 3},
        profile={},
        artifact_key=f"datasets/{dataset_id}/rows.jsonl",
    )


@pytest.fixture
def store(database: Database) -> Store:
    """A store with one dataset, on SQLite and on Postgres."""
    return Store(database)


@pytest.fixture
def sqlite_store(sqlite_database: Database) -> Store:
    """A store with one dataset, on SQLite."""
    return Store(sqlite_database)


@pytest.fixture
def new_dataset() -> Callable[[str], tables.Dataset]:
    """How to make a dataset row."""
    return make_dataset
