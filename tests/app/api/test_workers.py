"""Workers, queues, and the request of a job over HTTP."""

from typing import Any

from starlette.testclient import TestClient

from app.schemas.jobs import WorkerRef
from app.store import jobs, workers
from app.store.engine import Database
from tests.app.api.problem import problem_of


def test_workers_and_queues_tell_what_runs_and_waits(client: TestClient, db: Database, body: dict[str, Any]) -> None:
    assert client.get("/workers").json()["data"] == []
    assert [queue["workers"] for queue in client.get("/queues").json()["data"]] == [0, 0, 0]
    running, waiting = (client.post("/jobs", json=body).json() for _ in range(2))
    worker = WorkerRef(id="wrk_1", device="cpu")
    with db.transaction() as session:
        workers.seen(session, id="wrk_1", hostname="h", pid=1, device="cpu", slots=2, queues=["default", "cpu"])
        jobs.claim(session, running["id"], owner="wrk_1", queues=["default"], lease_seconds=60, worker=worker)
    (found,) = client.get("/workers").json()["data"]
    assert (found["id"], found["device"], found["jobs"]) == ("wrk_1", "cpu", [running["id"]])
    queues = {queue["name"]: queue for queue in client.get("/queues").json()["data"]}
    assert list(queues) == ["default", "gpu", "cpu"]
    expected = {"queued": 1, "running": 1, "waiting_since": waiting["created_at"], "workers": 1, "slots": 2}
    assert queues["default"] == {"name": "default"} | expected
    assert queues["gpu"] == {"name": "gpu", "queued": 0, "running": 0, "waiting_since": None, "workers": 0, "slots": 0}
    assert queues["cpu"]["workers"] == 1


def test_the_request_of_a_job_makes_the_same_job_again(client: TestClient, body: dict[str, Any]) -> None:
    wishes = {field: value for field, value in body.items() if field != "base_model"} | {
        "hyperparameters": {"learning_rate": 1e-4, "lr_scheduler_type": "cosine"},
        "family": {"type": "textcnn", "num_filters": 64},
        "export": {"formats": ["onnx", "safetensors"]},
        "metadata": {"team": "a"},
    }
    plain, rich = (client.post("/jobs", json=each).json() for each in (body, wishes))
    assert client.get(f"/jobs/{plain['id']}/request").json() == body
    asked = client.get(f"/jobs/{rich['id']}/request").json()
    assert asked["hyperparameters"] == wishes["hyperparameters"] and asked["metadata"] == {"team": "a"}
    assert (asked["family"]["type"], asked["family"]["num_filters"], asked["export"]) == (
        "textcnn",
        64,
        wishes["export"],
    )
    again = client.post("/jobs", json=asked)
    assert again.status_code == 201
    same = ("model", "family_options", "hyperparameters", "text", "export", "dataset", "metadata")
    assert [again.json()[field] for field in same] == [rich[field] for field in same]
    assert problem_of(client.get("/jobs/job_no/request")) == (404, "job-not-found")
