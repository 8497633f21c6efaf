"""Logs and files of a job: complete, by name alone, and without a text of the dataset."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from app.schemas.jobs import JobWarning, WorkerRef
from app.store import jobs
from app.store.attempts import Recorded
from app.store.claims import Claim
from app.store.engine import Database
from app.store.events import NewEvent
from app.store.metrics import Point
from tests.app.api.problem import problem_of

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ (INFO|WARNING|ERROR) \S.*")
RESOLVED = {
    "total_steps": 20,
    "device": "cpu",
    "resolutions": [{"field": "batch_size", "value": 8, "reason": "few rows"}],
}
EVALUATED = {"split": "validation", "step": 10, "epoch": 1.0, "improved": True, "metrics": {"loss": 0.5, "accuracy": 1}}


@pytest.fixture
def claim(db: Database, job_id: str) -> Claim:
    """The job, running, with some history."""
    claim = db.run(
        lambda session: jobs.claim(
            session, job_id, owner="wrk_1", queues=["default"], lease_seconds=60, worker=WorkerRef(id="wrk_1")
        )
    )
    assert claim is not None
    db.run(lambda session: jobs.start_phase(session, claim, "training"))
    warning = JobWarning(code="odd", detail="Something is\nodd.", remedy="Look.")
    reports = [
        Recorded(events=[NewEvent("resolved", RESOLVED)]),
        Recorded(points=[Point("train/loss", 5, 0.5, 1.25), Point("train/learning_rate", 5, 0.5, 2e-4)]),
        Recorded(
            points=[Point("train/loss", 10, 1.0, 0.75), Point("eval/loss", 10, 1.0, 0.5)],
            events=[NewEvent("step", {"step": 10}), NewEvent("evaluated", EVALUATED)],
            warnings=[warning],
        ),
        Recorded(events=[NewEvent("warning", warning.model_dump()), NewEvent("checkpoint", {"step": 10})]),
    ]
    for report in reports:
        db.run(lambda session, report=report: jobs.record(session, claim, report))
    return claim


def test_the_log_tells_everything_in_order(client: TestClient, db: Database, job_id: str, claim: Claim) -> None:
    db.run(lambda session: jobs.fail(session, claim, {"code": "x"}, reason="The loss is not a number."))
    answer = client.get(f"/jobs/{job_id}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    told = [line.split(" ", 2)[2] for line in lines]
    expected = [
        "INFO new -> queued",
        "INFO queued -> running",
        "INFO phase training",
        "INFO 20 steps on cpu; batch_size is 8: few rows",
        "INFO step 5, epoch 0.50: learning_rate 0.0002 loss 1.25",
        "INFO step 10, epoch 1.00: loss 0.75",
        "INFO validation at step 10, epoch 1.0, best so far: loss 0.5000 accuracy 1.0000",
        "WARNING odd: Something is odd. Look.",
        "INFO checkpoint step=10",
        "ERROR running -> failed: The loss is not a number.",
    ]
    told = [line.replace("  ", " ") for line in told]
    assert [line.startswith(start) for line, start in zip(told, expected, strict=True)] == [True] * len(expected), told
    for tail in range(1, len(lines) + 1):
        assert client.get(f"/jobs/{job_id}/logs", params={"tail": tail}).text.splitlines() == lines[-tail:]


def test_a_running_job_has_its_records(client: TestClient, job_id: str, claim: Claim, tmp_path: Path) -> None:
    listed = client.get(f"/jobs/{job_id}/artifacts").json()["data"]
    assert [item["kind"] for item in listed] == ["record"] * 3
    content = {item["name"]: client.get(item["href"]).content for item in listed}
    assert content["training.log"].decode() == client.get(f"/jobs/{job_id}/logs").text
    history = json.loads(content["training_history.json"])
    assert history["curves"]["train/loss"] == {"steps": [5, 10], "epochs": [0.5, 1.0], "values": [1.25, 0.75]}
    assert (history["status"], history["hyperparameters"]["seed"]) == ("running", 42)
    [name] = [name for name in content if "tfevents" in name]
    (tmp_path / name).write_bytes(content[name])
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(5, 1.25), (10, 0.75)]
    assert [event.value for event in events.Scalars("eval/loss")] == [0.5]


def test_a_finished_job_has_the_files_of_its_version(
    client: TestClient, publish: Callable[..., int], data_dir: Path
) -> None:
    publish()
    job = client.get("/jobs").json()["data"][0]
    listed = client.get(job["links"]["artifacts"]).json()["data"]
    bundle = {item["name"]: item for item in listed if item["kind"] == "bundle"}
    assert set(bundle) == {"manifest.json", "model.onnx", "tokenizer.json"}
    for item in bundle.values():
        answer = client.get(item["href"])
        assert hashlib.sha256(answer.content).hexdigest() == item["sha256"]
        assert answer.headers["etag"] == f'"{item["sha256"]}"'
        assert int(answer.headers["content-length"]) == len(answer.content)
    [model] = data_dir.glob("artifacts/models/*/1/model.onnx")
    model.unlink()
    assert problem_of(client.get(bundle["model.onnx"]["href"])) == (503, "damaged-bundle")


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "../rows.jsonl",
        "..%2F..%2Ftunesmith.db",
        "%2Fetc%2Fpasswd",
        "weights",
        "Training.log",
        "%00",
        "a/b/c",
    ],
)
def test_only_names_of_the_list_are_served(client: TestClient, publish: Callable[..., int], name: str) -> None:
    publish()
    job_id = client.get("/jobs").json()["data"][0]["id"]
    status, code = problem_of(client.get(f"/jobs/{job_id}/artifacts/{name}"))
    assert status == 404
    assert code in ("artifact-not-found", "route-not-found")


def test_unknown_jobs_have_nothing(client: TestClient) -> None:
    for part in ("logs", "artifacts", "artifacts/training.log"):
        assert problem_of(client.get(f"/jobs/job_{'0' * 32}/{part}")) == (404, "job-not-found")
