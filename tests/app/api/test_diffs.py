"""Two versions side by side over HTTP."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.schemas.jobs import DatasetRef
from app.significance.answers import Answers
from tests.app.api.judged import a_slice, answers
from tests.app.api.problem import problem_of

Publish = Callable[..., int]


def of_dataset(client: TestClient, dataset_id: str, wrong: list[int]) -> Answers:
    """Answer the rows of the test split of the stored dataset, but for some that are missed."""
    rows = client.get(f"/datasets/{dataset_id}/rows", params={"split": "test", "limit": 100}).json()["data"]
    numbers = [int(row["text"].split()[1]) for row in rows]
    made = answers(40, [numbers[place] for place in wrong])
    return Answers(
        split="test",
        labels=made.labels,
        several=False,
        keys=made.keys[numbers],
        truth=made.truth[numbers],
        given=made.given[numbers],
        probabilities=made.probabilities[numbers],
    )


def test_a_diff_tells_what_changed(client: TestClient, publish: Publish, dataset_id: str) -> None:
    stored = client.get(f"/datasets/{dataset_id}").json()
    ref = DatasetRef(id=dataset_id, sha256=stored["sha256"], counts=stored["counts"])
    web, mail = a_slice("source=web", 2, 0.9), a_slice("source=mail", 2, 0.5)
    publish(answers=of_dataset(client, dataset_id, [0, 1]), hyperparameters={"seed": 1, "batch_size": 8}, slices=[web])
    changes = {"hyperparameters": {"seed": 2, "batch_size": 8, "epochs": 3}, "dataset": ref, "serve": "onnx-int8"}
    changes |= {"slices": [mail, a_slice("source=web", 2, 0.6)]}
    publish(answers=of_dataset(client, dataset_id, [1, 2, 3]), **changes)
    diff = client.get("/models/mood/diff", params={"from": 1, "to": 2}).json()
    assert diff["hyperparameters"] == [
        {"name": "epochs", "before": None, "after": 3},
        {"name": "seed", "before": 1, "after": 2},
    ]
    assert diff["data"]["same"] is False  # the first one's hash is made up
    assert (diff["data"]["labels_added"], diff["serve_before"], diff["serve_after"]) == ([], "onnx", "onnx-int8")
    accuracy = next(metric for metric in diff["metrics"] if metric["name"] == "test/accuracy")
    assert accuracy == {"name": "test/accuracy", "before": 0.75, "after": 0.75, "difference": 0.0}
    assert [(each["label"], each["difference"]) for each in diff["per_class"]] == [("a", 0.0), ("b", 0.0)]
    assert [(each["slice"], each["f1_before"], each["f1_after"]) for each in diff["slices"]] == [
        ("source=web", 0.9, 0.6),
        ("source=mail", None, 0.5),
    ]
    assert (diff["comparison"]["better"], diff["comparison"]["worse"]) == (1, 2)
    found = diff["predictions"]
    assert (found["rows"], found["same_rows"]) == (stored["counts"]["test"], True)
    assert (found["fixed"], found["broken"], found["other"]) == (1, 2, 0)
    assert [(each["row"], each["kind"]) for each in found["examples"]] == [(2, "broken"), (3, "broken"), (0, "fixed")]
    rows = client.get(f"/datasets/{dataset_id}/rows", params={"split": "test", "limit": 100}).json()["data"]
    for each in found["examples"]:
        assert (each["text"], each["label"]) == (rows[each["row"]]["text"], rows[each["row"]]["label"])
        assert (each["after"] == each["label"]) == (each["kind"] == "fixed")
    few = client.get("/models/mood/diff", params={"from": 1, "to": 2, "examples": 1}).json()["predictions"]
    assert (len(few["examples"]), few["broken"]) == (1, 2)


def test_texts_of_other_data_are_not_shown(client: TestClient, publish: Publish) -> None:
    publish(answers=answers(60)), publish(answers=answers(60, [4]))
    [changed] = client.get("/models/mood/diff", params={"from": 1, "to": 2}).json()["predictions"]["examples"]
    assert (changed["row"], changed["text"], changed["kind"]) == (4, None, "broken")


def test_versions_that_cannot_be_compared_row_by_row_are_compared_all_the_same(
    client: TestClient, publish: Publish
) -> None:
    publish(answers=answers(60)), publish(labels=["a", "c"])
    diff = client.get("/models/mood/diff", params={"from": 1, "to": 2}).json()
    assert (diff["comparison"], diff["predictions"]) == (None, None)
    assert diff["not_compared"] == "version 2 keeps no answers to test rows"
    assert (diff["data"]["labels_added"], diff["data"]["labels_removed"]) == (["c"], ["b"])


def test_without_numbers_what_serves_is_compared_with_the_newest(client: TestClient, publish: Publish) -> None:
    publish(), publish(), publish()
    client.put("/models/mood/aliases/champion", json={"version": 2})
    diff = client.get("/models/mood/diff").json()
    assert (diff["from_version"], diff["to_version"]) == (2, 3)
    assert problem_of(client.get("/models/nobody/diff")) == (404, "model-not-found")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from": 1, "to": 9}, 404, "version-not-found"),
        ({"from": 0, "to": 1}, 422, "invalid-parameter"),
        ({"from": 1, "to": 1, "examples": 201}, 422, "invalid-parameter"),
    ],
)
def test_diffs_that_make_no_sense(
    client: TestClient, publish: Publish, query: dict[str, int], status: int, code: str
) -> None:
    publish()
    assert problem_of(client.get("/models/mood/diff", params=query)) == (status, code)
