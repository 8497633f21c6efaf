"""Promotion over HTTP: policies, blocked and forced moves, dry runs, rollbacks, history."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.promotion import moving
from app.schemas.judgements import Baseline, Interval, PairedComparison
from app.schemas.models import ExportLatency, ExportVerdict
from app.schemas.promotions import PromotionPolicy
from tests.app.api.conftest import Open
from tests.app.api.judged import a_slice, answers
from tests.app.api.problem import problem_of
from tests.house.markdown import ROOT, Page

PATH = "/models/mood/aliases/champion"
Publish = Callable[..., int]


def set_policy(client: TestClient, **policy: Any) -> None:
    answer = client.put(f"{PATH}/policy", json=policy)
    assert answer.status_code == 200, answer.text


def move(client: TestClient, version: int, **fields: Any) -> Any:
    return client.put(PATH, json={"version": version, **fields})


def only_check(client: TestClient, version: int) -> dict[str, Any]:
    [check] = client.post(f"{PATH}/check", json={"version": version}).json()["checks"]
    return dict(check)


def verdict(**changes: Any) -> ExportVerdict:
    values: dict[str, Any] = {
        "format": "onnx",
        "file": "model.onnx",
        "bytes": 1,
        "rows": 36,
        "max_abs_difference": 1e-6,
        "label_agreement": 1.0,
        "passed": True,
        "latency": ExportLatency(batch_1_ms=12.5, batch_32_ms=None),
    }
    return ExportVerdict.model_validate(values | changes)


def test_a_policy_is_set_read_and_removed(client: TestClient, publish: Publish) -> None:
    publish()
    assert problem_of(client.get(f"{PATH}/policy")) == (404, "policy-not-found")
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.7}])
    policy = client.get(f"{PATH}/policy").json()
    assert policy["policy"]["floors"] == [{"metric": "accuracy", "at_least": 0.7, "split": "test"}]
    assert (policy["alias"], policy["updated_by"]) == ("champion", "anonymous")
    assert client.get("/models/mood").json()["policies"] == ["champion"]
    assert client.delete(f"{PATH}/policy").status_code == 204
    assert client.get("/models/mood").json()["policies"] == []
    assert problem_of(client.delete(f"{PATH}/policy")) == (404, "policy-not-found")


def test_a_blocked_move_tells_every_check_and_moves_nothing(client: TestClient, publish: Publish) -> None:
    publish()
    set_policy(
        client,
        floors=[{"metric": "accuracy", "at_least": 0.75}, {"metric": "f1_macro", "at_least": 0.8}],
        class_floors=[{"label": "a", "metric": "recall", "at_least": 0.6}, {"label": "z", "at_least": 0.1}],
    )
    blocked = move(client, 1)
    assert problem_of(blocked) == (409, "promotion-blocked")
    checks = blocked.json()["checks"]
    assert [(check["name"], check["passed"], check["actual"], check["needed"]) for check in checks] == [
        ("metric-floor", True, 0.75, 0.75),
        ("metric-floor", False, 0.5, 0.8),
        ("class-floor", False, 0.5, 0.6),
        ("class-floor", False, None, 0.1),
    ]
    assert checks[1]["detail"] == "f1_macro on the test rows is 0.5, less than 0.8."
    assert checks[1]["detail"] in blocked.json()["detail"]
    assert problem_of(client.get(PATH)) == (404, "alias-not-found")
    assert client.get(f"{PATH}/history").json()["data"] == []


def test_floors_on_slices_block_unless_there_are_too_few_rows(client: TestClient, publish: Publish) -> None:
    publish(slices=[a_slice("source=web", 200, 0.55), a_slice("source=mail", 12, 0.1), a_slice("length=long", 90, 0.8)])
    floors = [
        {"slice": "source=*", "at_least": 0.6},
        {"slice": "length=long", "metric": "accuracy", "at_least": 0.85},
        {"slice": "language=fr", "at_least": 0.5},
        {"slice": "language=de", "at_least": 0.5, "if_missing": "allow"},
    ]
    set_policy(client, slice_floors=floors)
    blocked = move(client, 1)
    assert problem_of(blocked) == (409, "promotion-blocked")
    checks = blocked.json()["checks"]
    assert [(check["name"], check["passed"], check["actual"], check["needed"]) for check in checks] == [
        ("slice-floor", False, 0.55, 0.6),
        ("slice-floor", True, 0.1, 0.6),
        ("slice-floor", True, 0.9, 0.85),
        ("slice-floor", False, None, 0.5),
        ("slice-floor", True, None, 0.5),
    ]
    assert checks[0]["detail"] == (
        "f1_macro on source=web, 200 test rows, is 0.55, less than 0.6 (95 % interval 0.5000 to 0.9500)."
    )
    assert checks[1]["detail"].endswith("; fewer than 30 rows are too few to block for.")
    assert "it has source=web, source=mail, length=long; if_missing is block" in checks[3]["detail"]
    set_policy(client, slice_floors=[{"slice": "source=mail", "at_least": 0.6, "min_rows": 10}])
    assert problem_of(move(client, 1)) == (409, "promotion-blocked")
    told = client.get("/models/mood/versions/1").json()["slices"]
    assert [(scores["slice"], scores["rows"]) for scores in told][:2] == [("source=web", 200), ("source=mail", 12)]


def test_force_needs_a_reason_and_both_are_recorded(client: TestClient, publish: Publish, open_client: Open) -> None:
    publish()
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.99}])
    refused = move(client, 1, force=True)
    assert problem_of(refused)[0] == 422
    assert "force needs reason" in refused.text
    with open_client(api_key="k" * 32) as locked:
        locked.headers["Authorization"] = f"Bearer {'k' * 32}"
        assert move(locked, 1, force=True, reason="The old one leaks names.").status_code == 200
    [line] = client.get(f"{PATH}/history").json()["data"]
    assert (line["actor"], line["forced"], line["reason"]) == ("api-key", True, "The old one leaks names.")
    assert (line["from_version"], line["to_version"], line["checks"][0]["passed"]) == (None, 1, False)


def test_not_worse_is_judged_on_the_same_rows(client: TestClient, publish: Publish) -> None:
    publish(answers=answers(400, range(20)))
    publish(answers=answers(400, range(5, 28)))  # 5 better, 8 worse
    publish(answers=answers(400, range(80)))  # 60 worse
    set_policy(client, not_worse_than_current={"metric": "accuracy"})
    assert move(client, 1).status_code == 200
    first = client.get(f"{PATH}/history").json()["data"][0]["checks"][0]
    assert first["detail"] == "nothing holds the alias yet, so there is nothing to be worse than."
    noise = only_check(client, 2)
    assert noise["passed"] is True
    assert noise["detail"].startswith("inside noise: 5 texts better, 8 worse, p = 0.42; accuracy -0.0075")
    assert noise["detail"].endswith("against version 1 on the same 400 rows.")
    assert (noise["actual"], noise["needed"], noise["comparison"]["better"]) == (-0.0075, 0.0, 5)
    worse = move(client, 3)
    assert problem_of(worse) == (409, "promotion-blocked")
    assert "worse: 0 texts better, 60 worse, p = 8.7e-19; accuracy -0.1500" in worse.json()["detail"]
    set_policy(client, not_worse_than_current={"metric": "f1_macro", "max_drop": 0.2})
    assert only_check(client, 3)["detail"].endswith("a loss of up to 0.2 is accepted.")
    assert move(client, 3).status_code == 200


def test_certain_blocks_what_too_few_rows_cannot_tell(client: TestClient, publish: Publish) -> None:
    publish(answers=answers(60, range(6))), publish(answers=answers(60, range(3, 9)))
    assert move(client, 1).status_code == 200
    set_policy(client, not_worse_than_current={"metric": "f1_macro", "max_drop": 0.01, "certain": True})
    check = only_check(client, 2)
    assert check["passed"] is False
    assert check["detail"].endswith("that does not rule out a loss of more than 0.01.")
    set_policy(client, not_worse_than_current={"metric": "f1_macro", "max_drop": 0.2, "certain": True})
    assert only_check(client, 2)["passed"] is True


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (None, "version 2 keeps no answers to test rows"),
        (answers(100, first=60), "of the 100 rows that version 2 was judged on, version 1 was judged on 40 too"),
        (answers(300, first=40), "of the 300 rows that version 2 was judged on, version 1 was judged on 60 too"),
    ],
    ids=["none", "too few", "less than half"],
)
def test_versions_that_cannot_be_compared(client: TestClient, publish: Publish, second: Any, why: str) -> None:
    publish(answers=answers(100))
    publish(answers=second)
    assert move(client, 1).status_code == 200
    set_policy(client, not_worse_than_current={})
    check = only_check(client, 2)
    assert check["passed"] is False
    assert check["detail"] == f"it cannot be compared with version 1: {why}; if_incomparable is block."
    set_policy(client, not_worse_than_current={"if_incomparable": "allow"})
    assert only_check(client, 2)["passed"] is True


def test_what_both_were_judged_on_is_enough(client: TestClient, publish: Publish) -> None:
    publish(answers=answers(100)), publish(answers=answers(100, first=30))
    assert move(client, 1).status_code == 200
    set_policy(client, not_worse_than_current={})
    assert only_check(client, 2)["detail"].endswith("on the 70 rows that both were judged on.")


def test_damaged_answers_are_told_and_nothing_moves(client: TestClient, publish: Publish) -> None:
    publish(answers=answers(60)), publish(answers=answers(60))
    move(client, 1)
    set_policy(client, not_worse_than_current={})
    store = client.app.state.services.artifacts
    key = next(key for key in store.list("models") if key.endswith("answers.npz"))
    (store.root / key).write_bytes(b"broken")
    assert problem_of(move(client, 2)) == (503, "damaged-bundle")
    assert client.get(PATH).json()["version"] == 1


def test_export_latency_and_baseline(client: TestClient, publish: Publish) -> None:
    comparison = PairedComparison(
        rows=40,
        better=5,
        worse=4,
        p_value=0.75,
        accuracy_difference=0.025,
        accuracy_verdict="inside-noise",
        f1_macro_difference=0.03,
        f1_macro_interval=Interval(low=-0.1, high=0.15),
        f1_macro_verdict="inside-noise",
    )
    words = Baseline(name="tfidf-logistic-regression", split="test", accuracy=0.7, f1_macro=0.7, comparison=comparison)
    publish()
    publish(exports=[verdict()], baselines=[words])
    set_policy(client, export_verified=True, latency={"ms_per_text": 10}, beats_baseline={})

    def found(version: int) -> list[tuple[str, bool, float | None]]:
        checks = client.post(f"{PATH}/check", json={"version": version}).json()["checks"]
        return [(check["name"], check["passed"], check["actual"]) for check in checks]

    assert found(1) == [("beats-baseline", False, None), ("export-verified", False, None), ("latency", False, None)]
    assert found(2) == [("beats-baseline", False, 0.03), ("export-verified", True, 1.0), ("latency", False, 12.5)]
    set_policy(client, latency={"ms_per_text": 12.5}, beats_baseline={"beyond_noise": False, "margin": 0.03})
    assert [check[1] for check in found(2)] == [True, True]
    set_policy(client, latency={"ms_per_text": 12.5, "batch": 32})
    assert found(2) == [("latency", False, None)]


def test_a_dry_run_moves_nothing(client: TestClient, publish: Publish) -> None:
    publish()
    answer = client.post(f"{PATH}/check", json={"version": 1})
    assert answer.json() == {"alias": "champion", "version": 1, "current": None, "allowed": True, "checks": []}
    assert problem_of(client.get(PATH)) == (404, "alias-not-found")
    assert problem_of(client.post(f"{PATH}/check", json={"version": 7})) == (404, "version-not-found")
    assert problem_of(client.post("/models/nobody/aliases/x/check", json={"version": 1})) == (404, "model-not-found")


def test_to_name_the_same_version_again_is_no_move(client: TestClient, publish: Publish) -> None:
    publish()
    move(client, 1)
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 1.0}])
    assert move(client, 1).status_code == 200
    assert len(client.get(f"{PATH}/history").json()["data"]) == 1


def test_roll_back_is_one_call(client: TestClient, publish: Publish) -> None:
    publish(), publish(), publish()
    for version in (1, 2, 3):
        etag = move(client, version).headers["etag"]
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 1.0}])  # is not asked
    back = client.post(f"{PATH}/rollback", params={"reason": "refunds"}, headers={"If-Match": etag})
    assert back.status_code == 200
    assert (back.json()["version"], back.json()["rolled_back_from"]) == (2, 3)
    assert problem_of(client.post(f"{PATH}/rollback", headers={"If-Match": etag})) == (412, "alias-moved")
    assert client.get(PATH).headers["etag"] == back.headers["etag"]
    line = client.get(f"{PATH}/history").json()["data"][0]
    assert (line["kind"], line["from_version"], line["to_version"], line["reason"]) == ("rollback", 3, 2, "refunds")
    assert client.post(f"{PATH}/rollback").json()["version"] == 1
    assert problem_of(client.post(f"{PATH}/rollback")) == (409, "nothing-to-roll-back-to")
    assert problem_of(client.post("/models/mood/aliases/other/rollback")) == (404, "alias-not-found")


def test_a_repeated_rollback_goes_back_once(client: TestClient, publish: Publish) -> None:
    publish(), publish(), publish()
    for version in (1, 2, 3):
        move(client, version)
    answers = [client.post(f"{PATH}/rollback", headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.json()["version"] for answer in answers] == [2, 2]
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert client.get(PATH).json()["version"] == 2


def test_history_comes_in_pages(client: TestClient, publish: Publish) -> None:
    publish(), publish()
    for version in (1, 2, 1):
        move(client, version)
    page = client.get(f"{PATH}/history", params={"limit": 2}).json()
    rest = client.get(f"{PATH}/history", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [line["to_version"] for line in page["data"] + rest["data"]] == [1, 2, 1]
    assert rest["has_more"] is False


def test_the_policy_of_the_guide_is_one() -> None:
    [block] = [block for block in Page(ROOT / "docs" / "guide" / "promoting.md").blocks if block.language == "json"]
    policy = PromotionPolicy.model_validate_json(block.text)
    assert policy.not_worse_than_current is not None and policy.latency is not None


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ({"floors": [{"metric": "f1", "at_least": 0.5}]}, "/floors/0/metric"),
        ({"floors": [{"metric": "accuracy", "at_least": 80}]}, "/floors/0/at_least"),
        ({"floors": [{"metric": "accuracy"}]}, "/floors/0/at_least"),
        ({"not_worse_than_current": {"max_drop": -0.1}}, "/not_worse_than_current/max_drop"),
        ({"latency": {"ms_per_text": 0}}, "/latency/ms_per_text"),
        ({"latency": {"ms_per_text": 5, "batch": 8}}, "/latency/batch"),
        ({"beats_baseline": {"baseline": "bert"}}, "/beats_baseline/baseline"),
        ({"class_floors": [{"label": "", "at_least": 0.5}]}, "/class_floors/0/label"),
        ({"slice_floors": [{"slice": "web", "at_least": 0.5}]}, "/slice_floors/0/slice"),
    ],
)
def test_policies_that_make_no_sense(
    client: TestClient, publish: Publish, policy: dict[str, Any], pointer: str
) -> None:
    publish()
    answer = client.put(f"{PATH}/policy", json=policy)
    assert problem_of(answer)[0] == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_move_is_judged_anew_when_the_policy_changes_meanwhile(
    client: TestClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.5}])
    judge = moving.checks.run
    seen: list[float] = []

    def and_then_somebody_is_stricter(policy: PromotionPolicy, *rest: Any) -> Any:
        seen.append(policy.floors[0].at_least)
        if len(seen) == 1:
            set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.9}])
        return judge(policy, *rest)

    monkeypatch.setattr(moving.checks, "run", and_then_somebody_is_stricter)
    assert problem_of(move(client, 1)) == (409, "promotion-blocked")
    assert seen == [0.5, 0.9]
    assert problem_of(client.get(PATH)) == (404, "alias-not-found")


def test_a_move_that_never_comes_to_rest_is_given_up(
    client: TestClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.5}])
    judge = moving.checks.run

    def restless(*given: Any) -> Any:
        set_policy(client, floors=[{"metric": "accuracy", "at_least": 0.5}])
        return judge(*given)

    monkeypatch.setattr(moving.checks, "run", restless)
    assert problem_of(move(client, 1)) == (409, "alias-busy")
