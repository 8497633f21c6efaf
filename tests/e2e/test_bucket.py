"""A service whose artifacts are in a bucket: a dataset goes up, a model is trained, and a version answers."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.artifacts.store import store_of
from app.main import create_app
from app.settings import Settings
from app.store.engine import Database
from tests.s3_server import BUCKET, Line, S3Server
from worker.hardware import Hardware
from worker.supervisor import Supervisor

pytestmark = [pytest.mark.slow]
JOB = {
    "model": "mood",
    "family": {"type": "textcnn", "vocab_size": 300, "embed_size": 16, "num_filters": 8},
    "hyperparameters": {"num_train_epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
}


@pytest.fixture
def settings(data_dir: Path, sqlite_url: str, s3_server: S3Server, line: Line) -> Settings:
    """The settings of API and worker alike; their way to the bucket can be cut."""
    return Settings(
        _env_file=None,
        data_dir=data_dir,
        database_url=sqlite_url,
        artifacts_url=f"s3://{BUCKET}/{data_dir.parent.name}",
        s3_endpoint_url=line.url,
        s3_access_key_id=s3_server.access.access_key_id,
        s3_secret_access_key=s3_server.access.secret_access_key,
        poll_seconds=0.1,
        heartbeat_seconds=0.2,
        warm_spare=False,
        worker_threads=1,
        trackers=[],
        log_level="ERROR",
    )


def test_a_job_is_trained_from_and_served_from_a_bucket(settings: Settings, line: Line) -> None:
    rows = [{"text": f"{'good' if n % 2 else 'bad'} thing {n}", "label": "ba"[n % 2]} for n in range(60)]
    database = Database(settings.resolved_database_url)
    worker = Supervisor(settings, database, store_of(settings), Hardware("a tiny machine"))
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        upload = {"file": ("rows.json", json.dumps(rows), "application/json")}
        dataset = client.post("/datasets", files=upload).json()
        job = client.post("/jobs", json=JOB | {"dataset_id": dataset["id"]}).json()
        assert "id" in job, job
        worker.start()
        try:
            until(client, job["id"], lambda job: job["phase"] in ("evaluating", "exporting"))
            line.off = True  # the bucket is away just when the version is to be published
            waiting = until(client, job["id"], lambda job: "waiting" in (job["status_reason"] or ""))
            assert (waiting["status"], waiting["phase"]) == ("running", "publishing")
            line.off = False
            ended = until(client, job["id"], lambda job: job["status"] not in ("queued", "running"))
        finally:
            line.off = False
            worker.drain()
        assert (ended["status"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)

        keys = set(store_of(settings).list(""))
        assert {f"datasets/{dataset['id']}/rows.jsonl", f"models/{job['id']}/1/manifest.json"} <= keys
        assert not any(key.startswith("checkpoints/") for key in keys)
        answer = client.post("/predict", json={"model": "mood", "inputs": ["good thing", "bad thing"]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] == 1
        assert client.get("/models/mood/versions/1/archive").content.startswith(b"PK")

        line.off = True
        away = client.get("/models/mood/versions/1/archive")
        assert (away.status_code, away.json()["code"]) == (503, "artifacts-unavailable")
        assert client.post("/predict", json={"model": "mood", "inputs": "good thing"}).status_code == 200
    database.close()


def until(client: TestClient, job_id: str, right: Any, seconds: float = 90.0) -> dict[str, Any]:
    """Wait until a job is as it should be."""
    deadline = time.monotonic() + seconds
    while not right(job := client.get(f"/jobs/{job_id}").json()):
        assert time.monotonic() < deadline, job
        assert job["status"] != "failed", job["error"]
        time.sleep(0.02)
    return job
