"""Two tasks over HTTP: datasets, job, curves, version, predictions and the downloaded card, with a real worker."""

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from tests.worker.conftest import World
from tests.worker.toy_task import LABELS, toy_moods, toy_rows, write_rows
from worker.child import DEFAULT_PIPELINE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SPLITS = {"train": 60, "validation": 100, "test": 20}
ROWS = [row for split, count in SPLITS.items() for row in toy_rows(count, split=split)]
MOODS = [row for split, count in SPLITS.items() for row in toy_moods(count, split=split)]
WISHES = {"num_train_epochs": 6, "batch_size": 8, "learning_rate": 2e-3, "head_learning_rate_multiplier": 10.0}


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    """The API on the same database and folder as the worker."""
    with TestClient(create_app(world.settings), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def body(world: World, tiny_base: Path, tmp_path: Path) -> dict[str, Any]:
    """The body of a job that learns two tasks from a tiny base model."""
    world.settings.base_models["tiny"] = tiny_base
    own = world.store_dataset(write_rows(tmp_path / "rows.jsonl", ROWS), LABELS)
    moods = world.store_dataset(write_rows(tmp_path / "moods.jsonl", MOODS), ["fine", "sad"])
    tasks = {"mood": {"dataset_id": moods.id, "loss_weight": 0.3}}
    family = {"type": "multitask", "name": "tone", "loss_weight": 0.7, "tasks": tasks}
    return {
        "model": "toy",
        "dataset_id": own.id,
        "base_model": "tiny",
        "family": family,
        "hyperparameters": WISHES,
    }


def test_two_tasks_from_request_to_predictions(
    world: World, client: TestClient, body: dict[str, Any], tmp_path: Path
) -> None:
    plan = client.post("/jobs/validate", json=body).json()
    assert (plan["estimate"]["train_rows"], plan["estimate"]["validation_rows"]) == (120, 200)
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    job_id, moods = answer.json()["id"], body["family"]["tasks"]["mood"]["dataset_id"]
    assert client.delete(f"/datasets/{moods}").json()["code"] == "dataset-in-use"
    world.supervisor(pipeline=DEFAULT_PIPELINE, worker_threads=1, lease_seconds=60.0)
    world.wait(job_id, "succeeded", seconds=240.0)

    job = client.get(f"/jobs/{job_id}").json()
    assert job["family_options"] == body["family"]
    assert job["progress"]["total_steps"] == 6 * 15
    test = job["metrics"]["test"]
    assert (test["examples"], test["tasks"]["mood"]["examples"]) == (20, 20)
    assert test["accuracy"] > 0.8 and test["tasks"]["mood"]["accuracy"] > 0.8
    history = client.get(f"/jobs/{job_id}/metrics").json()
    curves = {point["name"] for point in history["data"]}
    assert {"eval/f1_macro", "eval/mood/f1_macro", "eval/mood/loss", "eval/f1:glad"} <= curves

    version = client.get("/models/toy/versions/1").json()
    assert [(task["name"], task["labels"], task["offset"]) for task in version["tasks"]] == [
        ("tone", LABELS, 0),
        ("mood", ["fine", "sad"], 3),
    ]
    assert version["tasks"][1]["dataset"]["id"] == moods
    assert version["metrics"]["test/mood/accuracy"] == test["tasks"]["mood"]["accuracy"]
    assert version["decision"]["rows"] == 100 and version["decision"]["note"] is None
    temperatures = version["decision"]["temperature"], version["decision"]["task_temperatures"]["mood"]
    assert 1.0 not in temperatures
    fits = [version["test"]["calibration"], version["test"]["tasks"]["mood"]["calibration"]]
    assert tuple(fit["temperature"] for fit in fits) == temperatures
    assert {each["format"]: each["passed"] for each in version["exports"]} == {"onnx": True}

    right = {"tone": 0, "mood": 0}
    for name, rows in (("tone", ROWS), ("mood", MOODS)):
        held_out = [row for row in rows if row.split == "test"]
        asked = {"model": "toy", "inputs": [row.text for row in held_out]}
        for row, given in zip(held_out, client.post("/predict", json=asked).json()["predictions"], strict=True):
            right[name] += row.label == (given["label"] if name == "tone" else given["tasks"]["mood"]["label"])
    assert right == {"tone": round(20 * test["accuracy"]), "mood": round(20 * test["tasks"]["mood"]["accuracy"])}

    report = client.get(f"/jobs/{job_id}/report", params={"format": "md"}).text
    assert re.search(r"\| mood \| 2 \| 20 \| [\d.]+ % \|", report)
    assert "mood test: accuracy=" in report and "loss weight 0.3" in report
    assert re.search(r"\| as served, temperature [\d.]+ \| [\d.]+ % \|", report)
    assert "### Task mood, on its test split" in report
    assert "## Task mood: Hardest rows of the validation split" in report
    assert "Further tasks" in client.get(f"/jobs/{job_id}/report", params={"format": "html"}).text
    the_card_is_true(client, tmp_path / "archive")


def the_card_is_true(client: TestClient, place: Path) -> None:
    """Download the version and run the program of its card: it answers as the service does."""
    with zipfile.ZipFile(io.BytesIO(client.get("/models/toy/versions/1/archive").content)) as archive:
        archive.extractall(place)
    card = (place / "toy-v1" / "README.md").read_text()
    assert "| mood | fine, sad | ds\\_" in card and "| mood | 20 |" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    text = ROWS[0].text
    program = code.group(1).replace("Write your own texts here.", text)
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=place / "toy-v1", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    answers = {line.split()[0]: line.split()[1:3] for line in ran.stdout.splitlines()}
    served = client.post("/predict", json={"model": "toy", "inputs": text}).json()["predictions"][0]
    for name, expected in {"tone": served, "mood": served["tasks"]["mood"]}.items():
        label, score = answers[name]
        assert label == expected["label"]
        assert float(score) == pytest.approx(expected["score"], abs=1e-3)


def test_a_damaged_dataset_of_a_further_task_fails_the_job(
    world: World, client: TestClient, body: dict[str, Any]
) -> None:
    moods = body["family"]["tasks"]["mood"]["dataset_id"]
    (world.settings.data_dir / "artifacts" / "datasets" / moods / "rows.jsonl").unlink()
    job_id = client.post("/jobs", json=body).json()["id"]
    world.supervisor()
    job = world.wait(job_id, "failed")
    assert (job.error["code"], job.error["phase"], job.attempt) == ("damaged-dataset", "preparing", 1)
    assert moods in job.error["detail"]


def test_what_cannot_be_a_task_is_refused_over_http(client: TestClient, body: dict[str, Any]) -> None:
    for tasks, code, place in (
        ({"mood": {"dataset_id": "ds_1"}}, "dataset-not-found", "/family/tasks/mood/dataset_id"),
        ({"mood": {"dataset_id": body["dataset_id"]}}, "invalid-value", "/family/tasks/mood/dataset_id"),
        ({}, "invalid-value", "/family/tasks"),
        ({"tone": {"dataset_id": "ds_1"}}, "invalid-value", "/family"),
    ):
        refused = client.post("/jobs", json=body | {"family": body["family"] | {"tasks": tasks}})
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, code)
        assert problem["errors"][0]["pointer"] == place
        assert problem["remedy"]
    assert client.get("/jobs").json()["data"] == []
