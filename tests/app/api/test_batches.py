"""Batch predictions over HTTP, with a worker in this process that really classifies."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.api.problem import problem_of

TEXTS = ["good", "=bad()", "good, good", "bad\nbad", "+good"]


@pytest.fixture
def send(client: TestClient, publish: Callable[..., int]) -> Callable[..., Any]:
    """How to send a file of texts for the one version there is."""
    publish()

    def send(texts: list[str], **fields: str) -> Any:
        file = ("texts.jsonl", "".join(f"{json.dumps({'text': text, 'other': 1})}\n" for text in texts))
        return client.post("/batch-predictions", files={"file": file}, data={"model": "mood", **fields})

    return send


def ended(client: TestClient, batch_id: str) -> dict[str, Any]:
    """Wait for the end of a batch."""
    found: dict[str, Any] = client.get(f"/batch-predictions/{batch_id}", headers={"Prefer": "wait=30"}).json()
    assert found["status"] in ("succeeded", "failed", "cancelled"), found
    return found


def test_a_file_is_classified_row_by_row(
    client: TestClient, send: Callable[..., Any], batch_worker: Callable[[], None]
) -> None:
    accepted = send(TEXTS, return_all_scores="true")
    assert accepted.status_code == 202, accepted.text
    batch = accepted.json()
    assert accepted.headers["location"] == f"/batch-predictions/{batch['id']}"
    assert (batch["status"], batch["model"], batch["version"]) == ("queued", "mood", 1)
    assert batch["progress"] == {
        "rows_done": 0,
        "rows": 5,
        "fraction": 0.0,
        "rows_per_second": None,
        "eta_seconds": None,
    }
    early = client.get(f"/batch-predictions/{batch['id']}/results")
    assert problem_of(early) == (409, "batch-not-finished")
    batch_worker()
    found = ended(client, batch["id"])
    assert (found["status"], found["progress"]["rows_done"]) == ("succeeded", 5)

    answers = [json.loads(line) for line in client.get(found["links"]["results"]).text.splitlines()]
    assert [(answer["row"], answer["text"]) for answer in answers] == list(enumerate(TEXTS))
    assert [answer["label"] for answer in answers] == ["a", "b", "a", "b", "a"]
    one = client.post("/predict", json={"model": "mood", "inputs": "good", "return_all_scores": True}).json()
    assert answers[0]["scores"] == pytest.approx(one["predictions"][0]["scores"])

    table = client.get(found["links"]["results"], params={"format": "csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["text"] for row in rows] == ["good", "'=bad()", "good, good", "bad\nbad", "'+good"]
    assert [row["label"] for row in rows] == ["a", "b", "a", "b", "a"]
    assert float(rows[1]["score.b"]) == answers[1]["scores"]["b"]

    told = client.get(f"/batch-predictions/{batch['id']}/events").json()["data"]
    assert [event["type"] for event in told] == ["status", "status", "chunk", "chunk", "chunk", "status"]
    streamed = client.get(f"/batch-predictions/{batch['id']}/events", headers={"Accept": "text/event-stream"}).text
    assert streamed.count("event: chunk") == 3 and '"to":"succeeded"' in streamed
    assert client.delete(f"/batch-predictions/{batch['id']}").status_code == 204
    assert problem_of(client.get(f"/batch-predictions/{batch['id']}")) == (404, "batch-not-found")
    assert list(client.app.state.services.artifacts.list(f"batches/{batch['id']}")) == []


def test_a_dataset_is_classified_by_the_version_of_that_moment(
    client: TestClient, publish: Callable[..., int], dataset_id: str, batch_worker: Callable[[], None]
) -> None:
    publish(), publish()
    client.put("/models/mood/aliases/champion", json={"version": 1})
    body = {"model": "mood@champion", "dataset_id": dataset_id, "top_k": 1}
    key = {"Idempotency-Key": "batch-1"}
    first = client.post("/batch-predictions", json=body, headers=key)
    again = client.post("/batch-predictions", json=body, headers=key)
    assert first.json()["id"] == again.json()["id"] and again.headers["idempotency-replayed"] == "true"
    client.put("/models/mood/aliases/champion", json={"version": 2})
    batch_worker()
    found = ended(client, first.json()["id"])
    assert (found["status"], found["version"], found["dataset_id"]) == ("succeeded", 1, dataset_id)
    lines = client.get(found["links"]["results"]).text.splitlines()
    assert len(lines) == 40 and all(len(json.loads(line)["scores"]) == 1 for line in lines)
    assert [item["id"] for item in client.get("/batch-predictions").json()["data"]] == [found["id"]]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "moot"}, 404, "model-not-found"),
        ({"model": "mood@nobody"}, 404, "alias-not-found"),
        ({"model": "mood:7"}, 404, "version-not-found"),
        ({"top_k": "many"}, 422, "invalid-type"),
        ({"return_all_scores": "perhaps"}, 422, "invalid-type"),
        ({"text_column": "txt"}, 422, "unknown-column"),
        ({"colour": "red"}, 422, "unknown-field"),
        ({"format": "parquet"}, 422, "format-mismatch"),
    ],
)
def test_a_wrong_request_says_what_to_change(
    client: TestClient, send: Callable[..., Any], fields: dict[str, str], status: int, code: str
) -> None:
    refused = send(["good"], **fields)
    assert problem_of(refused) == (status, code)
    assert refused.json()["remedy"] or refused.json()["errors"]
    assert client.get("/batch-predictions").json()["data"] == []
    assert list(client.app.state.services.artifacts.list("batches")) == []


def test_texts_that_break_a_rule_are_counted(client: TestClient, send: Callable[..., Any]) -> None:
    refused = send(["good", "", "  "])
    assert problem_of(refused) == (422, "empty-text")
    missing = {"model": "mood", "dataset_id": "ds_00000000000000000000000000000009"}
    assert problem_of(client.post("/batch-predictions", json=missing)) == (404, "dataset-not-found")
    bare = client.post("/batch-predictions", content="text\nx\n", headers={"Content-Type": "text/csv"})
    assert problem_of(bare) == (415, "unsupported-media-type")


def test_a_waiting_batch_can_be_cancelled(client: TestClient, send: Callable[..., Any]) -> None:
    batch_id = send(["good"]).json()["id"]
    assert problem_of(client.delete(f"/batch-predictions/{batch_id}")) == (409, "batch-not-finished")
    for _ in range(2):
        assert client.post(f"/batch-predictions/{batch_id}/cancel").json()["status"] == "cancelled"
    assert client.get(f"/batch-predictions/{batch_id}/results?partial=true").text == ""
    assert problem_of(client.post("/batch-predictions/bat_x/cancel")) == (404, "batch-not-found")
