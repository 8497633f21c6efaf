"""How a version does on real calls, over HTTP: from answers to accuracy and drift."""

import time
from collections.abc import Callable

from starlette.testclient import TestClient

from app.schemas.histograms import Reference
from tests.app.api.problem import problem_of
from tests.app.api.test_feedback import answered
from tests.app.api.test_traffic import ALIAS, PATH

LIVE = "/models/mood/versions/1/live"
REFERENCE = Reference(
    split="test",
    texts=1000,
    labels={"a": 500, "b": 500},
    confidence=[0, 0, 0, 0, 0, 0, 0, 0, 0, 1000],
    tokens=[1000, *([0] * 10)],
)


def test_accuracy_and_drift_by_windows(client: TestClient, publish: Callable[..., int]) -> None:
    publish(reference=REFERENCE)
    client.put(ALIAS, json={"version": 1})
    fresh = client.get(LIVE).json()
    assert fresh["accuracy"] is None and fresh["reference"]["split"] == "test"
    assert [(window["texts"], window["drift"]) for window in fresh["windows"]] == [(0, [])] * 7
    client.put(PATH, json={"log": {"percent": 100}, "drift": {"percent": 100}})
    ids = [answered(client, "good good")["id"] for _ in range(12)]
    for _ in range(8):
        client.post("/predict", json={"model": "mood", "inputs": ["good good"] * 50})
    for index, prediction in enumerate(ids):
        client.post(f"/predictions/{prediction}/feedback", json={"label": "ab"[index < 11]})
    client.app.state.services.predictions.observer.flusher.flush()  # type: ignore[attr-defined]
    found = client.get(f"{LIVE}?hours=2&windows=3").json()
    accuracy = found["accuracy"]
    assert (accuracy["feedback"], accuracy["right"], accuracy["test_accuracy"]) == (12, 1, 0.75)
    assert accuracy["interval"]["high"] < 0.75 and accuracy["compared"] == "lower"
    assert [window["texts"] for window in found["windows"]] == [0, 0, 412]
    drift = {item["of"]: item for item in found["windows"][-1]["drift"]}
    assert {of: item["verdict"] for of, item in drift.items()} == {
        "labels": "large",
        "confidence": "stable",
        "tokens": "stable",
    }
    assert drift["labels"]["jensen_shannon"] > 0.5 and drift["tokens"]["stability_index"] == 0


def test_a_version_without_a_reference_says_so(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    client.put(ALIAS, json={"version": 1})
    client.put(PATH, json={"drift": {"percent": 100}})
    deadline = time.monotonic() + 60
    while True:
        client.post("/predict", json={"model": "mood", "inputs": "good"})
        client.app.state.services.predictions.observer.flusher.flush()  # type: ignore[attr-defined]
        found = client.get(f"{LIVE}?windows=1").json()
        if found["windows"][0]["texts"]:
            break
        assert time.monotonic() < deadline
    assert found["reference"] is None and found["windows"][0]["drift"] == []
    assert problem_of(client.get("/models/mood/versions/9/live")) == (404, "version-not-found")
    for query in ("hours=0", "windows=101", "hours=x"):
        assert client.get(f"{LIVE}?{query}").status_code == 422
