"""A real job in a real worker: a model from a hub, trained by the real pipeline, served by the real predictor."""

import json
from pathlib import Path

import pytest

from app.artifacts.store import fetch_bundle
from app.schemas.jobs import BaseModelRef
from app.serving.predictor import Predictor
from tests.worker.toy.loopback_hub import COMMIT, Hub
from tests.worker.toy_task import LABELS, toy_rows, write_rows
from worker.child import DEFAULT_PIPELINE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROWS = [*toy_rows(60), *toy_rows(15, split="validation"), *toy_rows(15, split="test")]


@pytest.fixture
def hub(tiny_base: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = Hub(repos={"acme/tiny-bert": {path.name: path.read_bytes() for path in tiny_base.iterdir()}})
    hub.start()
    yield hub
    hub.stop()


def test_a_hub_model_is_trained_published_and_served(world, hub, tmp_path):
    dataset = world.store_dataset(write_rows(tmp_path / "rows.jsonl", ROWS), LABELS)
    wishes = {"num_train_epochs": 6, "batch_size": 8, "learning_rate": 5e-3, "head_learning_rate_multiplier": 10.0}
    base = BaseModelRef(id="acme/tiny-bert", source="hub", revision=COMMIT)
    job_id = world.submit(base_model=base, dataset=dataset, hyperparameters=wishes)
    world.supervisor(pipeline=DEFAULT_PIPELINE, hub_endpoint=hub.url, worker_threads=1, lease_seconds=60.0)
    job = world.wait(job_id, "succeeded", seconds=240.0)

    assert job.evaluations["test"]["accuracy"] > 0.8
    assert job.base_model["revision"] == COMMIT
    assert job.resolutions
    assert world.stored("jobs") == [f"jobs/{job_id}/1/issues.json"]
    (version,) = world.versions()
    bundle = fetch_bundle(
        world.artifacts, version.artifact_prefix, tmp_path / "served", manifest_sha256=version.manifest_sha256
    )
    texts = [row.text for row in ROWS if row.split == "test"]
    answers = [prediction.label for prediction in Predictor.load(bundle).predict(texts)]
    right = sum(
        answer == row.label for answer, row in zip(answers, (row for row in ROWS if row.split == "test"), strict=True)
    )
    assert right / len(texts) == pytest.approx(job.evaluations["test"]["accuracy"])
    assert json.dumps(texts[0])[1:-1] not in json.dumps([data for _, data in world.history(job_id)])

    # The version teaches another student, by the alias that its reference was pinned from.
    teacher = {"teacher": "model:toy@champion", "revision": "1", "alpha": 0.9}
    distilled = wishes | {"num_train_epochs": 1, "distillation": teacher}
    student = world.wait(
        world.submit(base_model=base, dataset=dataset, hyperparameters=distilled), "succeeded", seconds=240.0
    )
    assert student.hyperparameters["distillation"]["revision"] == "1"
    assert len(world.versions()) == 2
