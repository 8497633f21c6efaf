"""Splitting the calls of an alias over HTTP: who may try what, and who answers."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.api.problem import problem_of
from tests.app.api.test_aliases import verdict

ALIAS = "/models/mood/aliases/champion"
PATH = f"{ALIAS}/traffic"
NOTHING = {"canary": None, "shadow": None, "log": None, "drift": None, "prefer": None}
Publish = Callable[..., int]


@pytest.fixture
def mood(client: TestClient, publish: Publish) -> TestClient:
    """A client of a service with two versions, the first one champion."""
    publish(), publish(serve="onnx-int8")
    assert client.put(ALIAS, json={"version": 1}).status_code == 200
    wait_for(client, 1)  # until then the name means the newest
    return client


def split(client: TestClient, percent: float = 100, version: int = 2, **fields: Any) -> Any:
    return client.put(PATH, json={"canary": {"version": version, "percent": percent}, **fields})


def wait_for(client: TestClient, version: int, **how: Any) -> dict[str, Any]:
    """Ask until a version answers, as servers follow within a second; give its answer."""
    deadline = time.monotonic() + 60
    while True:
        answer = client.post("/predict", json={"model": "mood", "inputs": "good"} | how).json()
        if answer["version"] == version:
            return dict(answer)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_canary_from_its_first_call_to_its_promotion(mood: TestClient) -> None:
    assert problem_of(mood.get(PATH)) == (404, "traffic-not-found")
    assert problem_of(mood.delete(PATH)) == (404, "traffic-not-found")
    made = split(mood, 100, reason="to be tried")
    assert made.status_code == 200, made.text
    assert made.json()["traffic"] == {
        "canary": {"version": 2, "percent": 100.0},
        "shadow": None,
        "log": None,
        "drift": None,
        "prefer": None,
    }
    assert (made.json()["version"], made.json()["updated_by"]) == (1, "anonymous")
    assert mood.get(PATH).json() == made.json() and mood.get(PATH).headers["etag"] == made.headers["etag"]
    assert wait_for(mood, 2)["predictions"][0]["label"] == "b", "the int8 file of version 2 answers the other way"
    assert mood.get("/models/mood").json()["splits"] == ["champion"]
    [shown] = mood.get("/serving").json()["splits"]
    assert (shown["version"], shown["tried"], shown["state"], shown["code"]) == (1, 2, "loaded", None)
    assert mood.put(ALIAS, json={"version": 2}).status_code == 200
    assert problem_of(mood.get(PATH)) == (404, "traffic-not-found")
    moved, tried, _ = mood.get(f"{ALIAS}/history").json()["data"]
    assert (moved["kind"], moved["traffic"]) == ("move", NOTHING)
    assert (tried["kind"], tried["reason"], tried["traffic"]["canary"]["percent"]) == ("traffic", "to be tried", 100)


def test_every_dialect_sends_its_callers_to_the_canary(mood: TestClient) -> None:
    """account-1 falls to a canary of 50 %, account-0 does not; the two versions answer good differently."""
    split(mood, 50)
    wait_for(mood, 2, routing_key="account-1")
    bodies: dict[str, Any] = {
        "/v2/models/mood/infer": {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]},
        "/tei/mood/predict": {"inputs": "good"},
        "/models/mood": {"inputs": "good"},
        "/models/mood/predict": {"inputs": "good"},
        "/predict": {"model": "mood", "inputs": "good"},
    }
    for path, body in bodies.items():
        near, far = (
            mood.post(path, json=body, headers={"X-Routing-Key": key}).text for key in ("account-1", "account-0")
        )
        assert near != far, path
    both = mood.post(
        "/predict",
        json={"model": "mood", "inputs": "good", "routing_key": "account-1"},
        headers={"X-Routing-Key": "account-0"},
    )
    assert both.json()["version"] == 2, "the body takes precedence"


def test_a_change_that_does_not_know_the_last_one_is_refused(mood: TestClient) -> None:
    first = split(mood, 5).headers["etag"]
    wish = {"canary": {"version": 2, "percent": 20}}
    assert problem_of(mood.put(PATH, json=wish, headers={"If-None-Match": "*"})) == (412, "traffic-changed")
    second = mood.put(PATH, json=wish, headers={"If-Match": first})
    assert second.status_code == 200
    assert problem_of(mood.put(PATH, json=wish, headers={"If-Match": first})) == (412, "traffic-changed")
    assert problem_of(mood.delete(PATH, headers={"If-Match": first})) == (412, "traffic-changed")
    assert mood.delete(PATH, headers={"If-Match": second.headers["etag"]}).status_code == 204
    assert problem_of(mood.put(PATH, json=wish, headers={"If-Match": "*"})) == (412, "traffic-changed")


def test_a_repeated_request_is_answered_as_the_first(mood: TestClient) -> None:
    headers = {"Idempotency-Key": "k1", "If-None-Match": "*"}
    wish = {"canary": {"version": 2, "percent": 5}}
    first, again = (mood.put(PATH, json=wish, headers=headers) for _ in range(2))
    assert first.json() == again.json() and again.headers["idempotency-replayed"] == "true"
    other = mood.put(PATH, json={"canary": {"version": 2, "percent": 6}}, headers=headers)
    assert problem_of(other) == (422, "idempotency-key-reused")


def test_what_cannot_be_tried_is_refused(mood: TestClient) -> None:
    assert problem_of(split(mood, version=7)) == (404, "version-not-found")
    assert problem_of(split(mood, version=1)) == (409, "version-serves-already")
    for percent in (0, -1, 100.5, "10", True):
        refused = split(mood, percent)
        assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/canary/percent"
    nothing = mood.put(PATH, json={})
    assert nothing.status_code == 422 and "DELETE" in nothing.text
    assert "force needs reason" in split(mood, force=True).text
    other = mood.put("/models/mood/aliases/none/traffic", json={"canary": {"version": 2, "percent": 5}})
    assert problem_of(other) == (404, "alias-not-found")
    long = mood.post("/predict", json={"model": "mood", "inputs": "good", "routing_key": "x" * 201})
    assert long.status_code == 422 and long.json()["errors"][0]["pointer"] == "/routing_key"
    split(mood)
    assert problem_of(mood.delete("/models/mood/versions/2")) == (409, "in-use")


def test_of_a_policy_only_what_callers_must_not_be_exposed_to_holds_for_a_canary(
    client: TestClient, publish: Publish
) -> None:
    publish(), publish(), publish(exports=[verdict()])
    client.put(ALIAS, json={"version": 1})
    policy = {"floors": [{"metric": "accuracy", "at_least": 0.99}], "export_verified": True}
    client.put(f"{ALIAS}/policy", json=policy)
    blocked = split(client, 10)
    assert problem_of(blocked) == (409, "canary-blocked")
    assert [check["name"] for check in blocked.json()["checks"]] == ["export-verified"]
    assert split(client, 10, version=3).status_code == 200, "its accuracy is what is to be found out"
    assert split(client, 10, force=True, reason="a drill").status_code == 200
    forced, passed = client.get(f"{ALIAS}/history").json()["data"][:2]
    assert (forced["forced"], forced["reason"], forced["checks"][0]["passed"]) == (True, "a drill", False)
    assert (passed["forced"], passed["checks"][0]["passed"]) == (False, True)


def test_an_alias_prefers_a_format_for_those_who_do_not_say(mood: TestClient) -> None:
    mood.put(ALIAS, json={"version": 2}).raise_for_status()
    assert wait_for(mood, 2)["format"] == "onnx-int8"
    made = mood.put(PATH, json={"prefer": "accuracy"})
    assert (made.status_code, made.json()["traffic"]["prefer"]) == (200, "accuracy")
    deadline = time.monotonic() + 10
    while wait_for(mood, 2)["format"] != "onnx":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert mood.post("/predict", json={"model": "mood:2", "inputs": "good"}).json()["format"] == "onnx-int8"
    mood.put(ALIAS, json={"version": 1}).raise_for_status()
    assert mood.get(PATH).json()["traffic"]["prefer"] == "accuracy", "it stays when the alias moves"
    assert problem_of(mood.put(PATH, json={"prefer": "fast"}))[0] == 422
