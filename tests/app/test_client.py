"""The client against the real API, with a test in the part of the worker."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.client import ApiError, Tunesmith
from app.schemas.datasets import Dataset
from app.settings import Settings
from tests.app.live_service import LiveService, live_service, training_events

KEY = "a-key-that-is-long-enough"


@pytest.fixture
def service(data_dir: Path, sqlite_url: str) -> Iterator[LiveService]:
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, api_key=KEY, log_level="ERROR")
    with live_service(settings) as service:
        yield service


@pytest.fixture
def client(service: LiveService) -> Iterator[Tunesmith]:
    with Tunesmith(service.url, KEY) as client:
        yield client


@pytest.fixture
def dataset(client: Tunesmith, tmp_path: Path) -> Dataset:
    file = tmp_path / "mood.csv"
    file.write_text("msg,mood\n" + "".join(f"message {number},{number % 2}\n" for number in range(40)))
    return client.upload_dataset(
        file, text_column="msg", label_column="mood", label_names=["bad", "good"], validation_fraction=0.2, name="m"
    )


def test_uploading_tells_what_was_found(client: Tunesmith, dataset: Dataset) -> None:
    assert (dataset.rows, dataset.labels, dataset.name) == (40, ["bad", "good"], "m")
    assert dataset.counts["validation"] == 8
    assert [found.id for found in client.datasets()] == [dataset.id]
    assert client.dataset(dataset.id) == dataset


def test_a_job_from_request_to_version(service: LiveService, client: Tunesmith, dataset: Dataset) -> None:
    job = client.train("mood", dataset, base_model="minilm-l6", hyperparameters={"learning_rate": 1e-4})
    assert (job.status, job.hyperparameters["learning_rate"]) == ("queued", 1e-4)
    assert [found.id for found in client.jobs(status="queued", model="mood")] == [job.id]
    assert list(client.jobs(model="other")) == []
    assert client.request(job.id).hyperparameters.learning_rate == 1e-4
    assert client.workers() == [] and [queue.queued for queue in client.queues()] == [1, 0, 0]
    service.publish(job.id, "mood")
    assert client.wait(job.id).result.version == 1
    assert client.model("mood").serving_version == 1
    assert [found.version for found in client.versions("mood")] == [1]
    assert client.version("mood", 1).job_id == job.id
    assert client.set_alias("mood", "champion", 1).version == 1
    assert [alias.alias for alias in next(client.models()).aliases] == ["champion"]


def test_a_job_is_followed_and_waited_for_on_the_job_itself(
    service: LiveService, client: Tunesmith, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mood.csv"
    file.write_text("text,label\n" + "".join(f"message {number},{number % 2}\n" for number in range(40)))
    job = client.train("mood", str(file), base_model="minilm-l6")
    claim = service.claim(job.id)
    service.tell(claim, *training_events([10, 20], total=20))
    threading.Timer(0.3, service.fail, [claim]).start()
    assert [event.seq for event in job.stream()] == list(range(1, 9))
    assert (job.status, job.error["code"]) == ("failed", "diverged")
    assert job.wait(progress=True) is job
    assert "mood: failed. The loss is not a number. Halve learning_rate." in " ".join(capfd.readouterr().err.split())
    assert "Training diverged." in job.logs(tail=1)
    waiting = client.train("mood", job.dataset.id, base_model="minilm-l6")
    assert waiting.cancel().status == waiting.refresh().status == "cancelled"
    assert next(client.jobs(model="mood")).wait().status == "cancelled"
    assert repr(waiting) == f"<TrainingJob {waiting.id} mood: cancelled>"
    with pytest.raises(FileNotFoundError):
        client.train("mood", tmp_path / "none.csv", base_model="minilm-l6")


def test_rows_and_curves_are_read_and_an_unused_dataset_is_deleted(
    service: LiveService, client: Tunesmith, dataset: Dataset
) -> None:
    rows = list(client.rows(dataset.id, split="validation", label="good"))
    assert {(row.split, row.label) for row in rows} == {("validation", "good")}
    job = client.train("mood", dataset, base_model="minilm-l6")
    assert client.metrics(job.id, names=["train/loss"], max_points=2) == []
    with pytest.raises(ApiError, match="job"):
        client.delete_dataset(dataset.id)


def test_a_plan_stores_nothing(client: Tunesmith, dataset: Dataset) -> None:
    plan = client.validate("mood", dataset, base_model="minilm-l6", hyperparameters={"num_train_epochs": 2})
    assert plan.estimate.num_train_epochs == 2
    assert list(client.jobs()) == []


def test_cancelling_and_waiting(client: Tunesmith, dataset: Dataset) -> None:
    job = client.train("mood", dataset, base_model="minilm-l6")
    with pytest.raises(TimeoutError):
        client.wait(job.id, timeout=0.2)
    assert client.cancel(job.id).status == "cancelled"
    assert client.wait(job.id).status == "cancelled"


def test_a_wrong_field_is_told_before_anything_is_sent(client: Tunesmith, dataset: Dataset) -> None:
    with pytest.raises(ValidationError, match="learning_rte"):
        client.train("mood", dataset, hyperparameters={"learning_rte": 1e-4})
    with pytest.raises(ValidationError, match="colour"):
        client.train("mood", dataset, colour="red")


def test_an_unknown_model_is_refused_with_a_remedy(client: Tunesmith) -> None:
    with pytest.raises(ApiError) as caught:
        client.predict("mood", ["fine"])
    assert (caught.value.code, caught.value.status) == ("model-not-found", 404)
    assert caught.value.remedy


def test_without_the_key_nothing_is_told(service: LiveService) -> None:
    with Tunesmith(service.url, "another-key-of-some-length") as stranger:
        assert stranger.ready()
        with pytest.raises(ApiError) as caught:
            list(stranger.jobs())
    assert caught.value.code == "unauthenticated"


def test_the_address_and_the_key_come_from_the_environment(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_URL", service.url + "/")
    monkeypatch.setenv("TUNESMITH_API_KEY", KEY)
    with Tunesmith() as client:
        assert list(client.jobs()) == []


def test_following_goes_on_after_a_restart_without_gap_or_repetition(
    service: LiveService, client: Tunesmith, dataset: Dataset
) -> None:
    job = client.train("mood", dataset, base_model="minilm-l6")
    claim = service.claim(job.id)
    seen: list[int] = []
    half = threading.Event()

    def restart_and_finish() -> None:
        half.wait()
        service.stop()
        service.tell(claim, *training_events([30, 40], total=40))
        service.start()
        service.fail(claim)

    worker = threading.Thread(target=restart_and_finish)
    worker.start()
    service.tell(claim, *training_events([10, 20], total=40))
    for event in client.events(job.id):
        seen.append(event.seq)
        if len(seen) == 5:
            half.set()
    worker.join()
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) == 2 + 5 + 5 + 1
    assert event.data["to"] == "failed"


def test_following_what_has_ended_ends(service: LiveService, client: Tunesmith, dataset: Dataset) -> None:
    job = client.train("mood", dataset, base_model="minilm-l6")
    service.publish(job.id, "mood")
    history = list(client.events(job.id))
    assert history[-1].data["to"] == "succeeded"
    assert list(client.events(job.id, after=history[0].seq)) == history[1:]
    assert list(client.events(job.id, after=history[-1].seq)) == []


def test_following_nothing_is_an_error(client: Tunesmith) -> None:
    with pytest.raises(ApiError) as caught:
        list(client.events("job_" + "0" * 32))
    assert caught.value.code == "job-not-found"


def test_a_resource_survives_the_way_through_json(client: Tunesmith, dataset: Dataset) -> None:
    job = client.train("mood", dataset, base_model="minilm-l6", metadata={"team": "a"}, priority=3)
    assert json.loads(job.model_dump_json())["metadata"] == {"team": "a"}
    assert job.priority == 3
