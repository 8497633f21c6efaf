"""Feedback over HTTP: from an answer with an id to what was right."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.queue.enqueue import Doorbell
from app.queue.rescue import Reconciler
from app.store import tables
from tests.app.api.problem import problem_of
from tests.app.api.test_traffic import ALIAS, PATH, Publish


@pytest.fixture
def logged(client: TestClient, publish: Publish) -> TestClient:
    """A client of a service that logs every answer of its only alias."""
    publish()
    client.put(ALIAS, json={"version": 1})
    wish = {"log": {"percent": 100, "keep_text": True}}
    assert client.put(PATH, json=wish).status_code == 200
    return client


def answered(client: TestClient, text: str = "good @me") -> dict[str, Any]:
    """Ask until the log has begun, as servers follow within a second."""
    deadline = time.monotonic() + 60
    while True:
        [answer] = client.post("/predict", json={"model": "mood", "inputs": [text]}).json()["predictions"]
        if answer["id"] is not None:
            return dict(answer)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_life_of_feedback(logged: TestClient) -> None:
    answer = answered(logged)
    path = f"/predictions/{answer['id']}"
    first = logged.post(f"{path}/feedback", json={"label": "b"})
    assert first.status_code == 200, first.text
    assert (first.json()["label"], first.json()["truth"], first.json()["right"]) == ("a", ["b"], False)
    assert first.json()["text"] == "good [MENTION]"
    assert logged.post(f"{path}/feedback", json={"label": "b"}).json() == first.json(), "the same changes nothing"
    changed = logged.post(f"{path}/feedback", json={"label": "a"}).json()
    assert (changed["truth"], changed["right"]) == (["a"], True)
    assert logged.get(path).json() == changed
    listed = logged.get("/models/mood/predictions?judged=true").json()["data"]
    assert [item["id"] for item in listed] == [answer["id"]]
    pinned = logged.post("/predict", json={"model": "mood:1", "inputs": "good"}).json()
    assert pinned["predictions"][0]["id"] is None, "only what is asked of the alias is logged"


def test_feedback_that_cannot_be_taken(logged: TestClient) -> None:
    path = f"/predictions/{answered(logged)['id']}/feedback"
    unknown = logged.post(path, json={"label": "aa"})
    assert problem_of(unknown) == (422, "unknown-label")
    [error] = unknown.json()["errors"]
    assert (error["pointer"], error["allowed"]) == ("/label", ["a", "b"])
    assert problem_of(logged.post(path, json={"labels": ["a"]})) == (422, "wrong-kind-of-feedback")
    for nothing in ({}, {"label": "a", "labels": ["a"]}, {"label": ""}, {"label": 3}):
        assert logged.post(path, json=nothing).status_code == 422
    for nobody in ("pred_" + "0" * 32, "pred_1", "job_" + "0" * 32):
        assert problem_of(logged.post(f"/predictions/{nobody}/feedback", json={"label": "a"})) == (
            404,
            "prediction-not-found",
        )
    assert problem_of(logged.get("/models/mood/predictions?cursor=x")) == (422, "invalid-cursor")


def test_sets_of_labels(client: TestClient, publish: Callable[..., int]) -> None:
    publish(problem_type="multi_label", thresholds=[0.5, 0.5])
    client.put(ALIAS, json={"version": 1})
    client.put(PATH, json={"log": {"percent": 100}})
    answer = answered(client)
    assert answer["labels"] == ["a", "b"], "without any word for b its probability is a half"
    path = f"/predictions/{answer['id']}/feedback"
    assert client.post(path, json={"labels": ["b", "a"]}).json()["right"] is True
    wrong = client.post(path, json={"labels": []}).json()
    assert (wrong["truth"], wrong["right"], wrong["text"]) == ([], False, None)
    assert problem_of(client.post(path, json={"label": "a"})) == (422, "wrong-kind-of-feedback")
    assert problem_of(client.post(path, json={"labels": ["a", "z"]})) == (422, "unknown-label")


def test_a_repeated_request_is_answered_as_the_first(logged: TestClient) -> None:
    path, headers = f"/predictions/{answered(logged)['id']}/feedback", {"Idempotency-Key": "k1"}
    first = logged.post(path, json={"label": "b"}, headers=headers)
    logged.post(path, json={"label": "a"})
    again = logged.post(path, json={"label": "b"}, headers=headers)
    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    assert logged.get(f"/predictions/{first.json()['id']}").json()["truth"] == ["a"], "nothing was done twice"
    reused = logged.post(path, json={"label": "a"}, headers=headers)
    assert problem_of(reused) == (422, "idempotency-key-reused")


def test_what_is_over_is_purged_by_the_sweeper(logged: TestClient, db: Any) -> None:
    kept, over = answered(logged)["id"], answered(logged)["id"]
    assert logged.get(f"/predictions/{over}").status_code == 200
    with db.transaction() as session:
        session.get(tables.LoggedPrediction, over).expires_at = datetime(2020, 1, 1, tzinfo=UTC)
    settings = logged.app.state.settings
    doorbell = Doorbell(settings)
    Reconciler(db, doorbell, settings).sweep()
    doorbell.close()
    assert problem_of(logged.get(f"/predictions/{over}")) == (404, "prediction-not-found")
    assert logged.get(f"/predictions/{kept}").status_code == 200
