"""Evaluations over HTTP: a stored version is judged on labelled rows by a worker that really classifies."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.ids import new_id
from app.preflight.messages import ROWS, UPLOAD, Limits, Order
from app.preflight.parse import parse
from app.preflight.stored import dataset_row
from app.schemas.datasets import DatasetOptions
from app.store import datasets
from app.store.engine import Database
from tests.app.api.problem import problem_of

HERE = "/models/mood/versions/1/evaluations"
# In the test split 5 good and 3 bad, of which the version mistakes one of each: their label says the other word.
TEST = [("good", "a"), ("good good", "a"), ("bad", "b"), ("good", "b"), ("good", "a"), ("bad", "b"), ("bad", "a")]


@pytest.fixture
def store(client: TestClient, db: Database, tmp_path: Path) -> Callable[..., str]:
    """How to store a dataset: gives its id."""

    def store(rows: list[dict[str, Any]]) -> str:
        folder = tmp_path / new_id("x")
        folder.mkdir()
        (folder / UPLOAD).write_text(json.dumps(rows))
        limits = Limits(max_rows=100, max_text_chars=100, max_labels=10)
        accepted = parse(folder, Order(options=DatasetOptions(), limits=limits))
        dataset_id = new_id("ds")
        key = f"datasets/{dataset_id}/{ROWS}"
        client.app.state.services.artifacts.put(key, folder / ROWS)
        db.run(lambda session: datasets.insert(session, dataset_row(dataset_id, key, accepted)))
        return dataset_id

    return store


def labelled(*, names: dict[str, Any] | None = None, test: list[tuple[str, str]] = TEST) -> list[dict[str, Any]]:
    """Give rows of all splits, those of the test split with texts that can be told apart."""
    known = names or {"a": "a", "b": "b"}
    train = [{"text": f"good {n}" if n % 2 else f"bad {n}", "label": "ba"[n % 2], "split": "train"} for n in range(8)]
    validation = [row | {"text": f"{row['text']} v", "split": "validation"} for row in train[:2]]
    rows = [{"text": f"{text} t{n}", "label": label, "split": "test"} for n, (text, label) in enumerate(test)]
    return [row | {"label": known[row["label"]]} for row in [*train, *validation, *rows]]


def test_a_version_is_judged_on_rows_it_has_never_seen(
    client: TestClient, publish: Callable[..., int], store: Callable[..., str], batch_worker: Callable[[], None]
) -> None:
    publish()
    dataset_id = store(labelled())
    accepted = client.post(HERE, json={"dataset_id": dataset_id})
    assert accepted.status_code == 202, accepted.text
    wanted = accepted.json()
    assert accepted.headers["location"] == f"{HERE}/{wanted['id']}"
    assert (wanted["status"], wanted["judgement"], wanted["progress"]["rows"]) == ("queued", None, 7)
    batch_worker()
    found = client.get(f"{HERE}/{wanted['id']}", headers={"Prefer": "wait=30"}).json()
    assert (found["status"], found["error"], found["warnings"]) == ("succeeded", None, [])
    judged = found["judgement"]
    assert judged["scores"]["examples"] == 7 and judged["scores"]["split"] == "test"
    assert judged["scores"]["confusion_matrix"] == [[3, 1], [1, 2]]
    assert judged["scores"]["accuracy"] == pytest.approx(5 / 7)
    assert judged["scores"]["f1_macro"] == pytest.approx((6 / 8 + 4 / 6) / 2)
    assert [(each["label"], each["support"]) for each in judged["scores"]["per_class"]] == [("a", 4), ("b", 3)]
    assert judged["intervals"]["accuracy"]["low"] < 5 / 7 < judged["intervals"]["accuracy"]["high"]

    lines = [json.loads(line) for line in client.get(found["links"]["results"]).text.splitlines()]
    assert [(line["row"], line["expected"], line["label"]) for line in lines] == [
        (n, label, "a" if "good" in text else "b") for n, (text, label) in enumerate(TEST)
    ]
    assert judged["scores"]["loss"] == pytest.approx(sum(line["loss"] for line in lines) / 7)
    assert min(line["loss"] for line in lines if line["expected"] != line["label"]) > 1
    table = list(csv.DictReader(io.StringIO(client.get(f"{found['links']['results']}?format=csv").text)))
    assert [(row["expected"], row["label"]) for row in table[:2]] == [("a", "a"), ("a", "a")]
    assert float(table[3]["loss"]) > 1

    listed = client.get(HERE).json()["data"]
    assert [(each["id"], each["judgement"]) for each in listed] == [(wanted["id"], judged)]
    batch = client.get(found["links"]["batch"]).json()
    assert batch["links"]["evaluation"] == f"{HERE}/{wanted['id']}"
    assert client.get("/models/mood/versions/1").json()["links"]["evaluations"] == HERE
    assert client.delete(found["links"]["batch"]).status_code == 204
    assert client.get(HERE).json()["data"] == []
    assert problem_of(client.get(f"{HERE}/{wanted['id']}")) == (404, "evaluation-not-found")


def test_what_cannot_be_judged_is_refused_before_a_worker_is_asked(
    client: TestClient, publish: Callable[..., int], store: Callable[..., str]
) -> None:
    publish()
    both = store(labelled())
    for body, code, pointer in (
        ({"dataset_id": "ds_" + "0" * 32}, "dataset-not-found", "/dataset_id"),
        ({"dataset_id": store(labelled(names={"a": "A", "b": "b"}))}, "unfit-labels", "/dataset_id"),
        ({"dataset_id": store(labelled(names={"a": ["a"], "b": ["a", "b"]}))}, "unfit-labels", "/dataset_id"),
        ({"dataset_id": both, "task": "mood"}, "unknown-task", "/task"),
        ({"dataset_id": both, "split": "dev"}, "invalid-value", "/split"),
    ):
        answer = client.post(HERE, json=body)
        assert problem_of(answer) == (422, code), answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert problem_of(client.post("/models/mood/versions/9/evaluations", json={"dataset_id": both})) == (
        404,
        "version-not-found",
    )
    assert client.get(HERE).json()["data"] == []


def test_rows_that_the_version_was_trained_on_are_named(
    client: TestClient, publish: Callable[..., int], store: Callable[..., str], db: Database
) -> None:
    publish()
    dataset_id = store(labelled())
    with db.transaction() as session:
        datasets.get(session, dataset_id).sha256 = "2" * 64  # type: ignore[union-attr]
    wanted = [client.post(HERE, json={"dataset_id": dataset_id, "split": split}).json() for split in ("test", "all")]
    assert [[warning["code"] for warning in each["warnings"]] for each in wanted] == [[], ["seen-in-training"]]
    assert wanted[1]["progress"]["rows"] == 17
