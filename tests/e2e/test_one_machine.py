"""The embedded default from a labelled file to a served model, by the commands and requests of a user."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.client import Tunesmith
from app.schemas.datasets import Dataset
from app.schemas.jobs import Job
from tests.e2e.conftest import LONG, MINILM, QUICK, Machine

pytestmark = pytest.mark.timeout(600)
TEXTS = [
    "The parcel never arrived and nobody answers.",
    "When do you open on Sundays?",
    "Thank you, what a lovely team!",
]


@pytest.fixture(scope="module")
def trained(machine: Machine, messages: Path) -> Job:
    """The first job of the machine, followed to its end on the command line."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    train = machine.run("app", "train", str(messages), "--model=mood", f"--base-model={MINILM}", *flags)
    assert train.process.wait(150) == 0, train.tail()
    with Tunesmith(machine.url) as client:
        return client.job(next(client.jobs(model="mood")).id)


@pytest.fixture
def dataset(service: Tunesmith, trained: Job) -> Dataset:
    return service.dataset(trained.dataset.id)


def test_a_file_becomes_a_served_version(service: Tunesmith, trained: Job) -> None:
    assert trained.status == "succeeded", trained.error
    assert trained.result is not None
    assert [span.phase for span in trained.phase_history] == [
        "preparing", "training", "evaluating", "exporting", "publishing",
    ]  # fmt: skip
    assert trained.progress.fraction == 1.0
    parts = trained.usage.parts
    assert list(parts) == ["queue", "start", "prepare", "train", "evaluate", "export", "verify", "publish"]
    assert min(parts.values()) >= 0 < min(parts["train"], parts["export"], parts["verify"])
    assert trained.finished_at is not None
    assert sum(parts.values()) == pytest.approx((trained.finished_at - trained.created_at).total_seconds(), abs=0.01)
    assert trained.hyperparameters["learning_rate"] != "auto"
    version = service.version("mood", trained.result.version)
    [export] = [export for export in version.exports if export.format == "onnx"]
    assert export.passed and export.label_agreement == 1.0
    answer = service.predict("mood", TEXTS, return_all_scores=True)
    assert answer.version == trained.result.version
    for prediction in answer.predictions:
        assert prediction.scores is not None
        assert prediction.scores.keys() == set(version.labels)
        assert sum(prediction.scores.values()) == pytest.approx(1.0)
        assert prediction.label == max(prediction.scores, key=prediction.scores.__getitem__)


def test_the_terminal_tells_what_happens(machine: Machine, trained: Job) -> None:
    told = (machine.data_dir.parent / "train.log").read_text()
    for word in ("training", "exporting", "loss", trained.id, "mood"):
        assert word in told


def test_served_answers_equal_the_offline_evaluation(service: Tunesmith, trained: Job) -> None:
    assert trained.metrics.validation is not None
    rows = list(_rows(service, trained.dataset.id, "validation"))
    given = service.predict("mood", [row["text"] for row in rows]).predictions
    correct = sum(prediction.label == row["label"] for prediction, row in zip(given, rows, strict=True))
    assert correct / len(rows) == pytest.approx(trained.metrics.validation.accuracy)


def test_history_can_be_read_as_a_list_and_as_a_stream(service: Tunesmith, trained: Job) -> None:
    listed = httpx.get(f"{service.url}/jobs/{trained.id}/events", params={"limit": 1000}).json()["data"]
    streamed = list(service.events(trained.id))
    assert [event["seq"] for event in listed] == list(range(1, len(listed) + 1)) == [event.seq for event in streamed]
    assert {"status", "phase", "resolved", "step", "evaluated", "stopped"} <= {event["type"] for event in listed}
    history = httpx.get(f"{service.url}/jobs/{trained.id}/metrics").json()
    assert {"train/loss", "train/learning_rate", "eval/f1_macro"} <= {point["name"] for point in history["data"]}


@pytest.mark.slow
def test_a_new_version_is_served_without_a_restart(service: Tunesmith, trained: Job, dataset: Dataset) -> None:
    assert trained.result is not None
    warm = service.train("mood", dataset, base_model=f"model:mood@{_alias(service, trained)}", hyperparameters=QUICK)
    job = service.wait(warm.id, timeout=150)
    assert job.status == "succeeded", job.error
    assert job.base_model.source == "version"
    deadline = time.monotonic() + 10
    while service.predict("mood", TEXTS[0]).version == trained.result.version:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert service.predict(f"mood:{trained.result.version}", TEXTS[0]).version == trained.result.version
    assert service.predict("mood@first", TEXTS[0]).version == trained.result.version


def _alias(service: Tunesmith, trained: Job) -> str:
    assert trained.result is not None
    return service.set_alias("mood", "first", trained.result.version).alias


@pytest.mark.slow
def test_a_job_sent_twice_is_one_job(service: Tunesmith, dataset: Dataset) -> None:
    body = {"model": "twice", "dataset_id": dataset.id, "base_model": MINILM, "hyperparameters": LONG}
    headers = {"Idempotency-Key": "a-key-of-this-test"}
    first, again = (httpx.post(f"{service.url}/jobs", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = httpx.post(f"{service.url}/jobs", json=body | {"model": "other"}, headers=headers)
    assert other.status_code == 422
    assert [job.model for job in service.jobs(model="twice")] == ["twice"]
    service.cancel(first.json()["id"])


@pytest.mark.slow
def test_a_running_job_tells_and_can_be_cancelled(service: Tunesmith, dataset: Dataset) -> None:
    job = service.train("endless", dataset, base_model=MINILM, hyperparameters=LONG)
    seen: list[str] = []
    following = threading.Thread(target=lambda: seen.extend(event.type for event in service.events(job.id)))
    following.start()
    now = _until(service, job.id, lambda job: job.progress.step >= 3 and job.metrics.validation is not None)
    assert (now.status, now.phase) == ("running", "training")
    assert now.progress.loss is not None
    assert now.progress.eta_seconds is not None
    assert now.worker is not None
    assert "cancel" in now.allowed_actions
    asked = time.monotonic()
    service.cancel(job.id)
    ended = service.wait(job.id, timeout=30)
    assert ended.status == "cancelled"
    assert time.monotonic() - asked < 10
    following.join(10)
    assert not following.is_alive()
    assert {"step", "evaluated"} <= set(seen)
    assert httpx.get(f"{service.url}/models/endless").status_code == 404


@pytest.mark.slow
def test_a_dataset_damaged_on_the_disk_fails_the_job_with_a_reason(
    machine: Machine, service: Tunesmith, messages: Path
) -> None:
    dataset = service.upload_dataset(messages, name="damaged")
    [file] = machine.data_dir.glob(f"artifacts/datasets/{dataset.id}/*")
    file.write_bytes(file.read_bytes()[:-100])
    job = service.wait(service.train("broken", dataset, base_model=MINILM, hyperparameters=QUICK).id, timeout=60)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["category"] == "data"
    assert job.error["detail"] and job.error["remedy"]
    assert job.attempt == 1  # nothing to be gained by trying again


@pytest.mark.slow
def test_all_is_kept_over_a_restart(machine: Machine, trained: Job) -> None:
    with Tunesmith(machine.url) as client:
        before = [job.model_dump() for job in client.jobs()]
        models = [model.model_dump() for model in client.models()]
        answer = client.predict("mood", TEXTS).predictions
    assert machine.stop() == 0
    began = time.monotonic()
    machine.start()
    assert time.monotonic() - began < 15
    with Tunesmith(machine.url) as client:
        assert [job.model_dump() for job in client.jobs()] == before
        assert [model.model_dump() for model in client.models()] == models
        assert client.predict("mood", TEXTS).predictions == answer


def _rows(service: Tunesmith, dataset_id: str, split: str) -> list[dict[str, str]]:
    answer = httpx.get(f"{service.url}/datasets/{dataset_id}/rows", params={"split": split, "limit": 100})
    rows: list[dict[str, str]] = json.loads(answer.text)["data"]
    return rows


def _until(service: Tunesmith, job_id: str, condition: Callable[[Job], bool], seconds: float = 60) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = service.job(job_id)
        if condition(job):
            return job
        assert job.status in ("queued", "running"), job.error
        time.sleep(0.05)
    raise AssertionError(f"{job.status} {job.phase} {job.progress}")
