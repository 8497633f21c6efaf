"""The registry over HTTP: models, versions, aliases that move without a race."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from app.schemas.jobs import BaseModelRef
from app.schemas.judgements import Baseline, Intervals
from tests.app.api.problem import problem_of


def test_a_model_and_its_versions(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    model = client.get("/models/mood").json()
    assert (model["latest_version"], model["serving_version"], model["aliases"]) == (2, 2, [])
    versions = client.get("/models/mood/versions").json()["data"]
    assert [version["version"] for version in versions] == [2, 1]
    assert versions[0]["metrics"]["test/accuracy"] == 0.75
    assert "validation/f1_macro" in versions[0]["metrics"]
    version = client.get("/models/mood/versions/2").json()
    assert version["labels"] == ["a", "b"]
    assert list(version["files"]) == ["model.onnx", "tokenizer.json"]
    assert version["bytes"] == sum(version["files"].values())
    assert version["test"]["confusion_matrix"] == [[1, 1], [1, 1]]
    assert version["links"]["job"] == f"/jobs/{version['job_id']}"


def test_a_version_tells_where_it_comes_from_and_how_sure_its_scores_are(
    client: TestClient, publish: Callable[..., int]
) -> None:
    intervals = {
        "split": "test",
        "rows": 4,
        "resamples": 1000,
        "accuracy": {"low": 0.25, "high": 1.0},
        "f1_macro": {"low": 0.2, "high": 1.0},
    }
    publish(
        base_model=BaseModelRef(id="model:mood", source="version", revision="7"),
        hyperparameters={"distillation": {"teacher": "model:judge@champion", "revision": "3"}},
        libraries={"tunesmith": "0.1.0"},
        intervals=Intervals.model_validate(intervals),
        baselines=[Baseline(name="majority", split="test", trained_on=32, accuracy=0.5, f1_macro=0.33)],
    )
    version = client.get("/models/mood/versions/1").json()
    assert version["intervals"] == intervals
    assert version["baselines"][0]["accuracy"] == 0.5
    lineage = version["lineage"]
    assert (lineage["job_id"], lineage["attempt"], lineage["code_version"]) == (version["job_id"], 1, "0.1.0")
    assert lineage["dataset"] == version["dataset"]
    assert lineage["parents"] == [
        {"model": "mood", "version": 7, "relation": "fine-tuned-from"},
        {"model": "judge", "version": 3, "relation": "distilled-from"},
    ]


def test_models_are_listed_by_name_in_pages(client: TestClient, publish: Callable[..., int]) -> None:
    for name in ("c", "a", "b"):
        publish(name)
    first = client.get("/models", params={"limit": 2}).json()
    assert [model["name"] for model in first["data"]] == ["a", "b"]
    rest = client.get("/models", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [model["name"] for model in rest["data"]] == ["c"]


def test_an_unknown_model_is_answered_with_the_nearest(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    answer = client.get("/models/moods")
    assert problem_of(answer) == (404, "model-not-found")
    assert answer.json()["remedy"] == "Did you mean mood?"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/models/nobody", 404, "model-not-found"),
        ("/models/nobody/versions", 404, "model-not-found"),
        ("/models/nobody/aliases", 404, "model-not-found"),
        ("/models/mood/versions/9", 404, "version-not-found"),
        ("/models/mood/versions/x", 422, "invalid-parameter"),
        ("/models/mood/versions/0", 422, "invalid-parameter"),
        (f"/models/mood/versions/{2**70}", 422, "invalid-parameter"),
        ("/models/mood/aliases/nobody", 404, "alias-not-found"),
        ("/models/%00", 404, "model-not-found"),
        ("/models?cursor=x", 422, "invalid-cursor"),
    ],
)
def test_what_is_not_there(client: TestClient, publish: Callable[..., int], path: str, status: int, code: str) -> None:
    publish()
    assert problem_of(client.get(path)) == (status, code)


def test_an_alias_moves_and_decides_what_the_plain_name_means(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    moved = client.put("/models/mood/aliases/champion", json={"version": 1})
    assert moved.status_code == 200
    assert client.get("/models/mood").json()["serving_version"] == 1
    assert client.get("/models/mood/versions/1").json()["aliases"] == ["champion"]
    seen = client.get("/models/mood/aliases/champion")
    assert seen.headers["etag"] == moved.headers["etag"]
    assert seen.json() == moved.json()
    assert client.delete("/models/mood/aliases/champion").status_code == 204
    assert client.get("/models/mood").json()["serving_version"] == 2
    assert problem_of(client.delete("/models/mood/aliases/champion")) == (404, "alias-not-found")


def test_a_move_on_an_old_etag_is_lost(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    path = "/models/mood/aliases/champion"
    etag = client.put(path, json={"version": 1}).headers["etag"]
    newer = client.put(path, json={"version": 2}, headers={"If-Match": etag})
    assert newer.status_code == 200
    assert newer.headers["etag"] != etag
    assert problem_of(client.put(path, json={"version": 1}, headers={"If-Match": etag})) == (412, "alias-moved")
    assert problem_of(client.delete(path, headers={"If-Match": etag})) == (412, "alias-moved")
    assert client.get(path).json()["version"] == 2
    assert client.delete(path, headers={"If-Match": newer.headers["etag"]}).status_code == 204


def test_preconditions_on_existence(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    path = "/models/mood/aliases/champion"
    assert problem_of(client.put(path, json={"version": 1}, headers={"If-Match": "*"}))[0] == 412
    assert client.put(path, json={"version": 1}, headers={"If-None-Match": "*"}).status_code == 200
    assert problem_of(client.put(path, json={"version": 1}, headers={"If-None-Match": "*"}))[0] == 412
    assert client.put(path, json={"version": 1}, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("etag", ["x", '"x"', "", '"-1"', '"99999999999999999999"'])
def test_an_etag_that_is_none_never_matches(client: TestClient, publish: Callable[..., int], etag: str) -> None:
    publish()
    answer = client.put("/models/mood/aliases/champion", json={"version": 1}, headers={"If-Match": etag})
    assert problem_of(answer)[0] == 412


def test_of_two_moves_at_once_one_is_lost(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish()
    path = "/models/mood/aliases/champion"
    etag = client.put(path, json={"version": 1}).headers["etag"]

    def move(_: int) -> int:
        return client.put(path, json={"version": 2}, headers={"If-Match": etag}).status_code

    with ThreadPoolExecutor(8) as crowd:
        statuses = sorted(crowd.map(move, range(8)))
    assert statuses == [200] + [412] * 7


@pytest.mark.parametrize(
    ("alias", "move", "status", "code"),
    [
        ("champion", {"version": 9}, 404, "version-not-found"),
        ("champion", {"version": 0}, 404, "version-not-found"),
        ("champion", {"version": "1"}, 422, "invalid-type"),
        ("champion", {"version": True}, 422, "invalid-type"),
        ("champion", {"versoin": 1}, 422, "unknown-field"),
        ("champion", {}, 422, "missing-field"),
        ("Champion", {"version": 1}, 422, "invalid-parameter"),
        ("a" * 40, {"version": 1}, 422, "invalid-parameter"),
    ],
)
def test_moves_that_make_no_sense(
    client: TestClient, publish: Callable[..., int], alias: str, move: dict[str, object], status: int, code: str
) -> None:
    publish()
    assert problem_of(client.put(f"/models/mood/aliases/{alias}", json=move)) == (status, code)
    assert client.get("/models/mood/aliases").json()["data"] == []


def test_a_deleted_version_is_not_found_and_calls_go_on(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish(), publish()
    body = {"model": "mood:2", "inputs": "good"}
    assert client.post("/predict", json=body).json()["predictions"][0]["label"] == "a"
    assert client.delete("/models/mood/versions/2").status_code == 204
    assert problem_of(client.get("/models/mood/versions/2")) == (404, "version-not-found")
    deadline = time.monotonic() + 60
    while (answer := client.post("/predict", json=body)).status_code == 200:  # until this process has looked
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert problem_of(answer) == (404, "version-not-found")
    assert answer.json()["remedy"] == "Its versions are 1 to 3, some of them deleted."
    assert client.post("/predict", json=body | {"model": "mood"}).status_code == 200
    assert problem_of(client.delete("/models/mood/versions/2")) == (404, "version-not-found")
    assert problem_of(client.delete("/models/nobody/versions/1")) == (404, "model-not-found")


def test_a_version_in_use_is_not_deleted(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    client.put("/models/mood/aliases/champion", json={"version": 1})
    answer = client.delete("/models/mood/versions/1")
    assert problem_of(answer) == (409, "in-use")
    assert answer.json()["uses"] == ["the alias champion names it"]
    assert client.get("/models/mood/versions/1").status_code == 200


def test_prune_says_what_it_would_do_and_does_it(client: TestClient, publish: Callable[..., int]) -> None:
    publish(), publish(), publish()
    client.put("/models/mood/aliases/champion", json={"version": 1})
    asked = client.post("/models/mood/prune", json={"keep_last": 1, "dry_run": True}).json()
    assert [version["version"] for version in asked["deleted"]] == [2]
    assert asked["kept"] == [{"version": 1, "reason": "the alias champion names it"}]
    assert len(client.get("/models/mood/versions").json()["data"]) == 3
    done = client.post("/models/mood/prune", json={"keep_last": 1}).json()
    assert done == asked | {"dry_run": False}
    assert [version["version"] for version in client.get("/models/mood/versions").json()["data"]] == [3, 1]
    assert problem_of(client.post("/models/mood/prune", json={"keep_last": 0}))[0] == 422


def test_a_model_whose_versions_are_all_deleted_is_gone(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    assert client.delete("/models/mood/versions/1").status_code == 204
    assert problem_of(client.get("/models/mood")) == (404, "model-not-found")
    assert client.get("/models").json()["data"] == []
    assert publish() == 2
    assert client.get("/models/mood").json()["latest_version"] == 2
