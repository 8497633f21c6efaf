"""POST /predict on a version that really computes: references, limits, headers, and the moment of a new version."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.schemas.text import TokenizerSettings
from tests.app.api.problem import problem_of


def test_one_text_and_a_list_of_one_are_alike(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    one = client.post("/predict", json={"model": "mood", "inputs": "good good bad"})
    many = client.post("/predict", json={"model": "mood", "inputs": ["good good bad"]})
    assert one.status_code == 200, one.text
    assert one.json()["predictions"] == many.json()["predictions"]
    (prediction,) = one.json()["predictions"]
    assert prediction["label"] == "a"
    assert prediction["score"] == pytest.approx(0.9526, abs=1e-4)
    assert (prediction["scores"], prediction["tokens"], prediction["truncated"]) == (None, 3, False)
    assert one.headers["x-model-version"] == "mood:1"
    assert all(stage in one.headers["server-timing"] for stage in ("queue;dur=", "tokenize;dur=", "infer;dur="))
    assert set(one.json()["timing"]) == {"queue_ms", "tokenize_ms", "infer_ms"}


def test_the_answers_keep_the_order_of_the_texts(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    texts = ["bad", "good", "bad bad", "good " * 40, "bad " * 31]
    answer = client.post("/predict", json={"model": "mood", "inputs": texts, "return_all_scores": True}).json()
    assert [item["label"] for item in answer["predictions"]] == ["b", "a", "b", "a", "b"]
    assert [item["truncated"] for item in answer["predictions"]] == [False, False, False, True, False]
    assert list(answer["predictions"][0]["scores"]) == ["b", "a"]
    top = client.post("/predict", json={"model": "mood", "inputs": "bad", "top_k": 1}).json()
    assert list(top["predictions"][0]["scores"]) == ["b"]


def wait_until_served(client: TestClient, version: int) -> None:
    """Wait until the plain name means this version: what was published is seen within a second, not at once."""
    deadline = time.monotonic() + 60
    while client.post("/predict", json={"model": "mood", "inputs": "good"}).json()["version"] != version:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_format_of_the_version_is_what_answers(client: TestClient, publish: Callable[..., int]) -> None:
    """In this bundle the int8 file has the labels' words exchanged, so the answer tells which file gave it."""
    publish(), publish(serve="onnx-int8")
    answers = [client.post("/predict", json={"model": f"mood:{n}", "inputs": "good"}).json() for n in (1, 2)]
    assert [answer["predictions"][0]["label"] for answer in answers] == ["a", "b"]
    versions = [client.get(f"/models/mood/versions/{n}").json() for n in (1, 2)]
    assert [version["serve"] for version in versions] == ["onnx", "onnx-int8"]
    exact = client.post("/predict", json={"model": "mood:2", "inputs": "good", "prefer": "accuracy"}).json()
    assert [answer["format"] for answer in (*answers, exact)] == ["onnx", "onnx-int8", "onnx"]
    assert exact["predictions"][0]["label"] == "a"
    by_path = client.post("/models/mood:2/predict", json={"inputs": "good", "prefer": "accuracy"}).json()
    assert (by_path["format"], by_path["predictions"]) == ("onnx", exact["predictions"])


def test_every_kind_of_reference(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    client.put("/models/mood/aliases/stable", json={"version": 1})
    wait_until_served(client, 2)
    for reference, version in (("mood", 2), ("mood:1", 1), ("mood@stable", 1), ("mood:2", 2)):
        by_body = client.post("/predict", json={"model": reference, "inputs": "good"})
        by_path = client.post(f"/models/{reference}/predict", json={"inputs": "good"})
        assert by_body.json()["version"] == by_path.json()["version"] == version


def test_a_moved_alias_is_served_within_seconds(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    wait_until_served(client, 2)
    client.put("/models/mood/aliases/champion", json={"version": 1})
    wait_until_served(client, 1)


@pytest.mark.parametrize(
    ("reference", "code"),
    [("moods", "model-not-found"), ("mood:9", "version-not-found"), ("mood@x", "alias-not-found")],
)
def test_what_is_not_there(client: TestClient, publish: Callable[..., int], reference: str, code: str) -> None:
    publish()
    assert problem_of(client.post("/predict", json={"model": reference, "inputs": "x"})) == (404, code)
    assert problem_of(client.post(f"/models/{reference}/predict", json={"inputs": "x"})) == (404, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "mood"}, 422, "missing-field"),
        ({"inputs": "x"}, 422, "missing-field"),
        ({"model": "mood", "inputs": []}, 422, "invalid-value"),
        ({"model": "mood", "inputs": None}, 422, "invalid-type"),
        ({"model": "mood", "inputs": ["a", 1]}, 422, "invalid-type"),
        ({"model": "mood", "text": "a"}, 422, "unknown-field"),
        ({"model": "mood", "inputs": "a", "top_k": 0}, 422, "invalid-value"),
        ({"model": "mood", "inputs": "a", "top_k": True}, 422, "invalid-type"),
        ({"model": "mood", "inputs": "a", "prefer": "beauty"}, 422, "invalid-value"),
        ({"model": "Mood!", "inputs": "a"}, 422, "invalid-value"),
        ({"model": "../../etc", "inputs": "a"}, 422, "invalid-value"),
        ({"model": "mood", "inputs": ["a"] * 65}, 413, "too-many-texts"),
        ({"model": "mood", "inputs": "a" * 200_001}, 422, "text-too-long"),
        ({"model": "mood", "inputs": ["a", "a" * 200_001]}, 422, "text-too-long"),
        ({"model": "mood", "inputs": "a" * 2_000_000}, 413, "body-too-large"),
    ],
)
def test_requests_that_break_a_rule(client: TestClient, body: dict[str, Any], status: int, code: str) -> None:
    assert problem_of(client.post("/predict", json=body)) == (status, code)


def test_a_version_that_cuts_nothing_refuses_a_longer_text_and_names_it(
    client: TestClient, publish: Callable[..., int]
) -> None:
    publish(tokenizer=TokenizerSettings(max_length=4, pad_token_id=0, long_text="error"))
    assert client.post("/predict", json={"model": "mood", "inputs": "good " * 4}).status_code == 200
    answer = client.post("/predict", json={"model": "mood", "inputs": ["good", "bad " * 5, "good " * 900]})
    assert problem_of(answer) == (422, "too-many-tokens")
    assert [(error["pointer"], error["detail"][:14]) for error in answer.json()["errors"]] == [
        ("/inputs/1", "has 5 tokens; "),
        ("/inputs/2", "has 900 tokens"),
    ]
    assert "long_text" in answer.json()["remedy"]
    alone = client.post("/models/mood/predict", json={"inputs": "bad " * 5}).json()
    assert alone["errors"][0]["pointer"] == "/inputs"


def test_the_limits_themselves_are_allowed(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    assert client.post("/predict", json={"model": "mood", "inputs": "good " * 4000}).status_code == 200
    assert client.post("/predict", json={"model": "mood", "inputs": ["good"] * 64}).status_code == 200


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x01\x7f", "e" + "\u0301" * 10_000, "😀" * 100, "שלום good مرحبا", "\u202egood\u202c", "g̷o̷o̷d̷"],
)
def test_every_text_has_an_answer(client: TestClient, publish: Callable[..., int], text: str) -> None:
    publish()
    answer = client.post("/predict", json={"model": "mood", "inputs": text})
    assert answer.status_code == 200, answer.text


def test_many_callers_get_their_own_answers(client: TestClient, publish: Callable[..., int]) -> None:
    publish()

    def ask(number: int) -> bool:
        word, label = (("good", "a"), ("bad", "b"))[number % 2]
        answer = client.post("/predict", json={"model": "mood", "inputs": [word] * (1 + number % 3)})
        return [item["label"] for item in answer.json()["predictions"]] == [label] * (1 + number % 3)

    with ThreadPoolExecutor(16) as crowd:
        assert all(crowd.map(ask, range(200)))


def test_a_damaged_version_is_never_served(client: TestClient, publish: Callable[..., int], data_dir: Path) -> None:
    publish()
    (stored,) = (data_dir / "artifacts").rglob("model.onnx")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    assert problem_of(client.post("/predict", json={"model": "mood", "inputs": "good"})) == (503, "damaged-bundle")


def test_a_damaged_champion_leaves_the_one_before_answering_and_readiness_says_so(
    client: TestClient, publish: Callable[..., int], data_dir: Path
) -> None:
    publish()
    client.put("/models/mood/aliases/champion", json={"version": 1})
    wait_until_served(client, 1)
    publish()  # nobody has asked for this one, so that it is not in memory
    assert client.get("/readyz").json()["checks"]["models"]["status"] == "ok"
    for stored in (data_dir / "artifacts").rglob("model.onnx"):
        stored.write_bytes(b"")
    client.put("/models/mood/aliases/champion", json={"version": 2})
    deadline = time.monotonic() + 60
    while (found := client.get("/readyz").json())["checks"]["models"]["status"] == "ok":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found["status"] == "degraded"
    assert "version 2, which is refused (damaged-bundle); version 1 answers" in found["checks"]["models"]["detail"]
    assert client.post("/predict", json={"model": "mood", "inputs": "good"}).json()["version"] == 1
    assert 'tunesmith_model_names_behind{name="mood"} 1.0' in client.get("/metrics").text


def test_calls_are_counted_by_models_that_exist(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    client.post("/predict", json={"model": "mood", "inputs": "good"})
    client.post("/predict", json={"model": "made-up-by-a-client", "inputs": "good"})
    page = client.get("/metrics").text
    assert 'tunesmith_predict_requests_total{code="ok",model="mood",version="1"}' in page
    assert "made-up-by-a-client" not in page
