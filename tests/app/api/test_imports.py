"""Imports over HTTP: refused at once when they cannot work, seen until a worker has made a dataset of them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.datasets import dataset_row
from app.preflight.messages import Accepted
from app.schemas.datasets import DatasetProfile
from app.schemas.provenance import Provenance, SourceFile
from app.store import imports
from app.store.engine import Database
from tests.app.api.problem import problem_of

HUB = {"source": "hub", "dataset": "acme/mood"}


@pytest.fixture
def hub() -> Iterator[str]:
    """A hub that knows acme/mood, keeps acme/secret for some, and is broken for acme/broken."""
    statuses = {"/api/datasets/acme/mood": 200, "/api/datasets/acme/secret": 403, "/api/datasets/acme/broken": 500}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.get(self.path, 404))
            if self.path.endswith("secret"):
                self.send_header("X-Error-Code", "GatedRepo")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(open_client: Any, hub: str) -> Iterator[TestClient]:
    with open_client(hub_endpoint=hub) as client:
        yield client


def test_an_import_waits_for_a_worker_and_shows_every_default(client: TestClient) -> None:
    answer = client.post("/datasets/import", json={"name": "mood", "from": HUB})
    body = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/datasets/imports/{body['id']}")
    assert (body["status"], body["name"], body["dataset_id"]) == ("queued", "mood", None)
    assert body["status_reason"] == "Waiting for a worker: none is connected."
    assert body["from"] | HUB == body["from"] and body["from"]["text_column"] == "text"
    assert client.get(f"/datasets/imports/{body['id']}").json() == body
    assert client.get("/datasets/imports").json()["data"] == [body]


def test_the_same_key_is_one_import(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first, again = (client.post("/datasets/import", json={"from": HUB}, headers=headers) for _ in range(2))
    assert first.json() == again.json() and again.headers["idempotency-replayed"] == "true"
    assert len(client.get("/datasets/imports").json()["data"]) == 1


def test_an_import_that_a_worker_has_ended(client: TestClient, db: Database) -> None:
    import_id = client.post("/datasets/import", json={"from": HUB}).json()["id"]
    profile = DatasetProfile(
        labels=["a", "b"],
        splits={"train": {"total": 4, "by_label": {"a": 2, "b": 2}}},
        text_lengths={"p50": 1, "p90": 1, "p99": 1, "max": 1},
        duplicates=0,
        majority_baseline=0.5,
        warnings=[],
    )
    accepted = Accepted(name="mood", format="jsonl", sha256="0" * 64, bytes=9, profile=profile)
    origin = Provenance(
        source="hub",
        options=HUB,
        dataset="acme/mood",
        revision="1" * 40,
        files=[SourceFile(path="train.parquet", bytes=1, sha256="2" * 64)],
        notes=["3 rows of the source were left out: no-text."],
    )
    row = dataset_row("ds_" + "0" * 32, "datasets/x/rows.jsonl", accepted, origin)

    def work(session: Any) -> None:
        claim = imports.claim_next(session, owner="w", lease_seconds=60)
        assert claim is not None and imports.succeed(session, claim, row)

    db.run(work)
    body = client.get(f"/datasets/imports/{import_id}", headers={"Prefer": "wait=5"}).json()
    assert (body["status"], body["links"]["dataset"]) == ("succeeded", f"/datasets/{body['dataset_id']}")
    dataset = client.get(body["links"]["dataset"]).json()
    assert dataset["format"] == "import"
    assert dataset["provenance"]["revision"] == "1" * 40
    assert dataset["provenance"]["notes"] == ["3 rows of the source were left out: no-text."]


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ({"source": "hub", "dataset": "acme/mod"}, 422, "unknown-dataset"),
        ({"source": "hub", "dataset": "acme/broken"}, 503, "hub-unreachable"),
        ({"source": "twitter"}, 422, "unknown-dataset"),
        ({"source": "processed", "path": "x"}, 422, "processed-disabled"),
        ({"source": "hubb", "dataset": "acme/mood"}, 422, "invalid-value"),
        ({"dataset": "acme/mood"}, 422, "missing-field"),
        (HUB | {"txt_column": "t"}, 422, "unknown-field"),
        (HUB | {"split": {"validation_fraction": 2}}, 422, "invalid-value"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    client: TestClient, source: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/datasets/import", json={"from": source})
    assert problem_of(answer) == (status, code), answer.text
    assert answer.json()["remedy"]
    assert client.get("/datasets/imports").json()["data"] == []


def test_a_gated_dataset_is_left_to_a_worker_that_may_have_a_token(client: TestClient) -> None:
    source = {"source": "hub", "dataset": "acme/secret"}
    assert client.post("/datasets/import", json={"from": source}).status_code == 202


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"hub_endpoint": "http://127.0.0.1:9"}, 503, "hub-unreachable"),
        ({"hub_enabled": False}, 422, "hub-disabled"),
    ],
)
def test_without_a_hub_the_answer_comes_at_once(open_client: Any, settings: Any, status: int, code: str) -> None:
    with open_client(**settings) as client:
        answer = client.post("/datasets/import", json={"from": {"source": "trustpilot"}})
        assert problem_of(answer) == (status, code)
        assert "POST /datasets" in answer.json()["remedy"]


def test_an_unknown_import(client: TestClient) -> None:
    for import_id in ("imp_0", "imp_" + "0" * 32):
        assert problem_of(client.get(f"/datasets/imports/{import_id}")) == (404, "import-not-found")
