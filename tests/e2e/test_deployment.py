"""A deployment of separate processes on Postgres and a Valkey of its own, as docker-compose.yml starts them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from app.client import ApiError, Tunesmith
from app.queue.embedded import EmbeddedBroker
from app.schemas.jobs import Job
from scripts.own_service import Command, free_port, wait_until_ready
from tests.e2e.conftest import LONG, MINILM

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(600)]
KEY = "a-key-for-this-deployment"
TEXT = "The parcel never arrived and nobody answers."


class Deployment:
    """API and workers, each in a process of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{environment['TUNESMITH_PORT']}"
        self._folder = folder
        self._environment = environment
        self._running: list[Command] = []

    def start(self, *arguments: str, data: str = "data") -> Command:
        """Start one command on a data folder of its own or the common one."""
        log = self._folder / f"{len(self._running)}-{arguments[0]}.log"
        environment = {**self._environment, "TUNESMITH_DATA_DIR": str(self._folder / data)}
        command = Command(arguments, environment, log)
        self._running.append(command)
        return command

    def stop(self) -> None:
        """End what still runs, the API last."""
        for command in reversed(self._running):
            command.stop()


@pytest.fixture
def deployment(folder: Path, empty_postgres_url: str) -> Iterator[Deployment]:
    """A migrated, running API without a worker."""
    broker = EmbeddedBroker(folder / "broker")
    broker.start()
    environment = {
        "TUNESMITH_DATABASE_URL": empty_postgres_url,
        "TUNESMITH_BROKER_URL": broker.url,
        "TUNESMITH_ARTIFACTS_URL": (folder / "artifacts").as_uri(),
        "TUNESMITH_PORT": str(free_port()),
        "TUNESMITH_API_KEY": KEY,
        "TUNESMITH_LEASE_SECONDS": "4",
        "TUNESMITH_HEARTBEAT_SECONDS": "0.5",
        "TUNESMITH_SWEEP_SECONDS": "1",
        "TUNESMITH_WARM_SPARE": "false",
        "TUNESMITH_POLL_SECONDS": "300",  # only the doorbell can be why a job starts in time
    }
    deployment = Deployment(folder, environment)
    migrate = deployment.start("app", "migrate")
    assert migrate.process.wait(60) == 0, migrate.tail()
    api = deployment.start("app", "api", data="api")
    wait_until_ready(deployment.url, [api])
    yield deployment
    assert api.stop() == 0, api.tail()
    deployment.stop()
    broker.stop()


@pytest.fixture
def service(deployment: Deployment) -> Iterator[Tunesmith]:
    with Tunesmith(deployment.url, KEY) as client:
        yield client


def test_workers_come_and_go_and_the_job_is_published_once(
    deployment: Deployment, service: Tunesmith, messages: Path
) -> None:
    with Tunesmith(deployment.url, "wrong") as stranger, pytest.raises(ApiError, match="key"):
        next(stranger.jobs())
    first = deployment.start("worker", data="worker-1")
    dataset = service.upload_dataset(messages, name="messages")
    job = service.train("mood", dataset, base_model=MINILM, hyperparameters=LONG)
    _wait(service, job.id, lambda job: job.progress.step >= 1)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = deployment.start("worker", data="worker-2")
    _wait(service, job.id, lambda job: job.attempt == 2 and job.phase == "training" and job.progress.step >= 1)
    assert second.stop() == 0
    given_back = service.job(job.id)
    assert (given_back.status, given_back.attempt) == ("queued", 2)

    deployment.start("worker", data="worker-3")
    _wait(service, job.id, lambda job: job.status == "running" and job.progress.step > given_back.progress.step)
    service.stop(job.id)
    job = service.wait(job.id, timeout=120)
    assert job.status == "succeeded", job.error
    assert job.attempt == 3
    assert [version.version for version in service.versions("mood")] == [1]
    history = list(service.events(job.id))
    assert [event for event in history if event.type == "resumed"][-1].data["step"] >= given_back.progress.step
    statuses = [event.data["to"] for event in history if event.type == "status"]
    assert statuses == ["queued", "running", "queued", "running", "queued", "running", "succeeded"]
    assert service.predict("mood", TEXT).version == 1


def _wait(service: Tunesmith, job_id: str, condition: Callable[[Job], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition(service.job(job_id)):
        assert time.monotonic() < deadline, service.job(job_id)
        time.sleep(0.05)
