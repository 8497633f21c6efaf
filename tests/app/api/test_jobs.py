"""Jobs over HTTP: submit, look, wait, list, cancel, validate; each answer after its commit."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.schemas.jobs import WorkerRef
from app.store import jobs, workers
from app.store.engine import Database
from tests.app.api.problem import problem_of


def claim(db: Database, job_id: str) -> jobs.Claim:
    taken = db.run(
        lambda session: jobs.claim(
            session,
            job_id,
            owner="wrk_1",
            queues=["default"],
            lease_seconds=60,
            worker=WorkerRef(id="wrk_1", device="cpu"),
        )
    )
    assert taken is not None
    return taken


def test_a_job_is_answered_whole(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/jobs", json=body | {"metadata": {"team": "a"}, "hyperparameters": {"batch_size": 8}})
    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert (job["status"], job["phase"], job["queue_position"], job["attempt"]) == ("queued", None, 0, 0)
    assert job["hyperparameters"]["batch_size"] == 8
    assert job["hyperparameters"]["weight_decay"] == 0.01
    assert job["base_model"] == {"id": "minilm-l6", "source": "package", "revision": None}
    assert job["dataset"]["counts"] == {"train": 32, "validation": 4, "test": 4}
    assert job["metadata"] == {"team": "a"}
    assert job["allowed_actions"] == ["cancel"]
    assert job["links"]["cancel"] == f"/jobs/{job['id']}/cancel"
    assert [warning["code"] for warning in job["warnings"]] == ["few-examples"]
    assert client.get(answer.headers["location"]).json() == job


def test_a_queued_job_says_why_it_waits(client: TestClient, db: Database, body: dict[str, Any]) -> None:
    first, second = (client.post("/jobs", json=body).json()["id"] for _ in range(2))
    urgent = client.post("/jobs", json=body | {"priority": 5}).json()["id"]
    reasons = {job: client.get(f"/jobs/{job}").json()["status_reason"] for job in (urgent, first, second)}
    assert reasons[urgent] == "Waiting for a worker: none is connected."
    assert reasons[second] == "Waiting for a worker: none is connected. 2 jobs before this one."
    db.run(
        lambda session: workers.seen(
            session, id="wrk_1", hostname="h", pid=1, device="cpu", slots=1, queues=["default"]
        )
    )
    assert (
        client.get(f"/jobs/{first}").json()["status_reason"]
        == "Waiting for a worker to be free. 1 job before this one."
    )
    positions = [client.get(f"/jobs/{job}").json()["queue_position"] for job in (urgent, first, second)]
    assert positions == [0, 1, 2]


def test_a_job_for_which_there_is_no_worker_says_so(client: TestClient, db: Database, body: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"hostname": "h", "pid": 1, "device": "cpu", "slots": 1}
    db.run(lambda session: workers.seen(session, id="wrk_1", queues=["default", "cpu"], **facts))
    job = client.post("/jobs", json=body | {"queue": "gpu"}).json()
    assert job["queue"] == "gpu"
    reason = "Waiting for a worker: none that is connected takes jobs of the queue gpu."
    assert client.get(f"/jobs/{job['id']}").json()["status_reason"] == reason
    plans = {queue: client.post("/jobs/validate", json=body | {"queue": queue}).json() for queue in ("gpu", "cpu")}
    assert {queue: plan["workers_alive"] for queue, plan in plans.items()} == {"gpu": 0, "cpu": 1}
    db.run(lambda session: workers.seen(session, id="wrk_2", queues=["default", "gpu"], **facts))
    assert client.get(f"/jobs/{job['id']}").json()["status_reason"] == "Waiting for a worker to be free."


def test_a_wish_for_more_devices_than_a_worker_has_is_warned_of(
    client: TestClient, db: Database, body: dict[str, Any]
) -> None:
    def details(wish: int | str, queue: str = "default") -> list[str]:
        asked = body | {"hyperparameters": {"devices": wish, "batch_size": 16}, "queue": queue}
        told = [client.post(path, json=asked).json()["warnings"] for path in ("/jobs", "/jobs/validate")]
        assert told[0] == told[1]
        return [warning["detail"] for warning in told[0] if warning["code"] == "too-few-devices"]

    def connect(name: str, devices: int | None, *queues: str) -> None:
        facts: dict[str, Any] = {"hostname": "h", "pid": 1, "device": "GPU", "slots": 1}
        db.run(lambda session: workers.seen(session, id=name, devices=devices, queues=queues, **facts))

    assert details(4) == []  # whoever comes may have four
    connect("wrk_old", None, "default")
    assert details(4) == []
    connect("wrk_1", 2, "default", "gpu")
    assert details(2) == details("auto") == details(4, "cpu") == []
    [none] = details(4)
    assert none.startswith("devices is 4, and no worker that is connected and takes jobs of this queue has more than 2")
    connect("wrk_2", 8, "gpu")
    assert len(details(4)) == 1
    [some] = details(4, "gpu")
    assert some.startswith("devices is 4, and only 1 of the 2 workers that take jobs of this queue have that")
    assert {worker["id"]: worker["devices"] for worker in client.get("/workers").json()["data"]} == {
        "wrk_old": None,
        "wrk_1": 2,
        "wrk_2": 8,
    }


def test_a_running_job_names_its_worker(client: TestClient, db: Database, job_id: str) -> None:
    claim(db, job_id)
    job = client.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["attempt"], job["queue_position"]) == ("running", 1, None)
    assert job["worker"] == {"id": "wrk_1", "device": "cpu"}


def test_a_succeeded_job_names_its_result(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    job = client.get("/jobs").json()["data"][0]
    assert job["status"] == "succeeded"
    assert job["result"] == {"model": "mood", "version": 1, "artifacts": ["model.onnx", "tokenizer.json"]}
    assert job["links"]["predict"] == "/models/mood:1/predict"
    assert job["allowed_actions"] == []


@pytest.mark.parametrize("wrong", ["job_0", "ds_" + "0" * 32, "job_" + "0" * 32, "x" * 3000, "%00", "..%2fjobs"])
def test_every_unknown_id_is_the_same_answer(client: TestClient, wrong: str) -> None:
    answers = [client.get(f"/jobs/{wrong}"), client.get(f"/jobs/{wrong}/metrics"), client.get(f"/jobs/{wrong}/events")]
    answers.append(client.post(f"/jobs/{wrong}/cancel"))
    answers.append(client.post(f"/jobs/{wrong}/stop"))
    for answer in answers:
        assert problem_of(answer) in {(404, "job-not-found"), (404, "route-not-found")}


def test_what_cannot_work_is_refused_and_not_stored(client: TestClient, body: dict[str, Any]) -> None:
    for change, status, code in (
        ({"dataset_id": "ds_1"}, 422, "dataset-not-found"),
        ({"epochs": 3}, 422, "unknown-field"),
        ({"base_model": "model:nobody"}, 422, "unknown-base-model"),
        ({"base_model": "distilbert-base-uncased"}, 503, "hub-unreachable"),
        ({"hyperparameters": {"metric_for_best_model": "f1:c"}}, 422, "invalid-hyperparameter"),
    ):
        assert problem_of(client.post("/jobs", json=body | change)) == (status, code)
    assert client.get("/jobs").json()["data"] == []


def test_validate_says_what_would_run_and_stores_nothing(client: TestClient, body: dict[str, Any]) -> None:
    plan = client.post("/jobs/validate", json=body | {"hyperparameters": {"num_train_epochs": 2}}).json()
    assert plan["memory"]["parameters"] == 22_713_986  # of MiniLM with a head for two labels
    assert plan["memory"]["batch_size"] == plan["estimate"]["batch_size"]
    assert plan["valid"] is True
    assert plan["estimate"] == {
        "train_rows": 32,
        "validation_rows": 4,
        "batch_size": 8,
        "num_train_epochs": 2,
        "steps_per_epoch": 4,
        "total_steps": 8,
    }
    assert plan["request"]["hyperparameters"]["weight_decay"] == 0.01
    assert (plan["workers_alive"], plan["queued_jobs"]) == (0, 0)
    assert client.get("/jobs").json()["data"] == []


def test_formats_are_chosen_and_a_deprecated_one_is_told(client: TestClient, body: dict[str, Any]) -> None:
    export = {"formats": ["torchscript", "safetensors"], "serve": "onnx-int8", "max_metric_drop": 0.01}
    job = client.post("/jobs", json=body | {"export": export}).json()
    assert job["export"] == export | {"min_label_agreement": 0.98}
    assert "deprecated-format" in [warning["code"] for warning in job["warnings"]]
    assert "deprecated-format" not in [w["code"] for w in client.post("/jobs", json=body).json()["warnings"]]


@pytest.mark.parametrize(
    ("export", "allowed"),
    [
        ({"formats": ["onxx"]}, "onnx-int8"),
        ({"formats": []}, "items"),
        ({"serve": "torchscript"}, "onnx-fp16"),
        ({"max_metric_drop": 2}, "from 0"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    client: TestClient, body: dict[str, Any], export: dict[str, Any], allowed: str
) -> None:
    refused = client.post("/jobs", json=body | {"export": export})
    assert problem_of(refused) == (422, "invalid-value")
    assert allowed in refused.json()["errors"][0]["detail"]


def test_validate_refuses_as_submit_does(client: TestClient, body: dict[str, Any]) -> None:
    bad = body | {"hyperparameters": {"warmup_steps": 10_000}}
    refused, validated = client.post("/jobs", json=bad).json(), client.post("/jobs/validate", json=bad).json()
    assert {**refused, "request_id": ""} == {**validated, "request_id": ""}


def test_lists_are_pages_with_filters(client: TestClient, db: Database, body: dict[str, Any]) -> None:
    ids = [
        client.post("/jobs", json=body | {"model": f"m{number % 2}", "metadata": {"n": str(number)}}).json()["id"]
        for number in range(5)
    ]
    claim(db, ids[0])
    listed = client.get("/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in listed["data"]] == [ids[4], ids[3]]
    following = client.get("/jobs", params={"limit": 10, "cursor": listed["next_cursor"]}).json()
    assert [job["id"] for job in following["data"]] == [ids[2], ids[1], ids[0]]
    assert (following["has_more"], following["next_cursor"]) == (False, None)

    def ask(**filters: Any) -> list[str]:
        return [job["id"] for job in client.get("/jobs", params=filters).json()["data"]]

    assert ask(status="running") == [ids[0]]
    assert ask(model="m1") == [ids[3], ids[1]]
    assert ask(model="m1", **{"metadata[n]": "3"}) == [ids[3]]
    assert ask(search="M1") == [ids[3], ids[1]] and ask(search="m1", status="running") == []
    assert ask(dataset_id=body["dataset_id"], status="queued", model="m0") == [ids[4], ids[2]]
    assert ask(created_after="2000-01-01T00:00:00Z") == ids[::-1]
    assert ask(created_after="2999-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=done",
        "cursor=%00",
        "cursor=eyJhIjoxfQ",
        "created_after=yesterday",
        "created_after=2026-01-01T00:00:00",
        "metadata=3",
        "metadata[]=3",
        "metadata[a=3",
        "metadata[a]=%00",
        "stats=queued",
        "api_key=x",
    ],
)
def test_parameters_that_break_a_rule(client: TestClient, query: str) -> None:
    status, code = problem_of(client.get(f"/jobs?{query}"))
    assert status == 422
    assert code in {"invalid-parameter", "unknown-parameter", "invalid-cursor"}


def test_a_queued_job_is_cancelled_at_once_and_twice_is_fine(client: TestClient, job_id: str) -> None:
    for _ in range(2):
        answer = client.post(f"/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert answer.json()["allowed_actions"] == []


def test_a_running_job_is_asked_to_stop(client: TestClient, db: Database, job_id: str) -> None:
    claim(db, job_id)
    for _ in range(2):
        answer = client.post(f"/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "running")
        assert answer.json()["allowed_actions"] == []


def test_a_finished_job_cannot_be_cancelled(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    job_id = client.get("/jobs").json()["data"][0]["id"]
    answer = client.post(f"/jobs/{job_id}/cancel")
    assert problem_of(answer) == (409, "already-finished")
    assert answer.json()["allowed_actions"] == []


def test_a_running_job_is_asked_to_keep_its_best(client: TestClient, db: Database, job_id: str) -> None:
    assert problem_of(client.post(f"/jobs/{job_id}/stop")) == (409, "not-begun")
    claim(db, job_id)
    assert client.get(f"/jobs/{job_id}").json()["allowed_actions"] == ["cancel", "stop"]
    for _ in range(2):
        answer = client.post(f"/jobs/{job_id}/stop")
        assert (answer.status_code, answer.json()["status"]) == (202, "running")
        assert answer.json()["allowed_actions"] == ["cancel"]
    assert "best checkpoint" in answer.json()["status_reason"]
    client.post(f"/jobs/{job_id}/cancel")
    assert problem_of(client.post(f"/jobs/{job_id}/stop")) == (409, "being-cancelled")


def test_a_finished_job_cannot_be_stopped(client: TestClient, publish: Callable[..., int]) -> None:
    publish()
    job_id = client.get("/jobs").json()["data"][0]["id"]
    assert problem_of(client.post(f"/jobs/{job_id}/stop")) == (409, "already-finished")


def test_prefer_wait_answers_when_the_job_has_finished(client: TestClient, db: Database, job_id: str) -> None:
    timer = threading.Timer(0.5, lambda: db.run(lambda session: jobs.cancel(session, job_id)))
    timer.start()
    started = time.monotonic()
    answer = client.get(f"/jobs/{job_id}", headers={"Prefer": "respond-async, wait=20"})
    timer.join()
    assert answer.json()["status"] == "cancelled"
    assert answer.headers["preference-applied"] == "wait=20"
    assert time.monotonic() - started < 10


def test_prefer_wait_answers_when_the_time_is_over(client: TestClient, body: dict[str, Any]) -> None:
    started = time.monotonic()
    answer = client.post("/jobs", json=body, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (201, "queued")
    assert 1 <= time.monotonic() - started < 5


@pytest.mark.parametrize("prefer", ["wait", "wait=x", "wait=-3", "waiter=9", ""])
def test_other_preferences_are_ignored(client: TestClient, job_id: str, prefer: str) -> None:
    answer = client.get(f"/jobs/{job_id}", headers={"Prefer": prefer})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_a_full_queue_is_told_to_wait(open_client) -> None:
    rows = [{"text": f"message {number}", "label": "ab"[number % 2]} for number in range(40)]
    with open_client(max_queued_jobs=1) as client:
        dataset_id = client.post("/datasets", json={"rows": rows}).json()["id"]
        body = {"model": "m", "dataset_id": dataset_id, "base_model": "minilm-l6"}
        assert client.post("/jobs", json=body).status_code == 201
        answer = client.post("/jobs", json=body)
    assert problem_of(answer) == (429, "queue-full")
    assert answer.headers["retry-after"] == "60"


def test_a_repeated_request_is_one_job(client: TestClient, body: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = client.post("/jobs", json=body, headers=key), client.post("/jobs", json=body, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"]
    reordered = client.post("/jobs", json=dict(reversed(body.items())) | {"priority": 0}, headers=key)
    assert reordered.json() == first.json()
    assert problem_of(client.post("/jobs", json=body | {"priority": 1}, headers=key)) == (422, "idempotency-key-reused")
    assert len(client.get("/jobs").json()["data"]) == 1


def test_equal_requests_at_once_are_one_job(client: TestClient, body: dict[str, Any]) -> None:
    def send(_: int) -> tuple[int, str]:
        answer = client.post("/jobs", json=body, headers={"Idempotency-Key": "k1"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(16) as crowd:
        answers = set(crowd.map(send, range(32)))
    assert len(answers) == 1
    assert len(client.get("/jobs").json()["data"]) == 1


def test_a_refused_request_does_not_use_up_its_key(client: TestClient, body: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "k1"}
    assert client.post("/jobs", json=body | {"dataset_id": "ds_1"}, headers=key).status_code == 422
    assert client.post("/jobs", json=body, headers=key).status_code == 201


def test_a_repeated_cancel_gets_its_first_answer(client: TestClient, job_id: str) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = (client.post(f"/jobs/{job_id}/cancel", headers=key) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "k" * 256, "with space", "tab\t", "ü"])
def test_keys_that_break_a_rule(client: TestClient, body: dict[str, Any], key: str) -> None:
    answer = client.post("/jobs", json=body, headers={"Idempotency-Key": key.encode("latin-1")})
    assert problem_of(answer) == (400, "invalid-idempotency-key")


def test_many_cancels_of_one_job_agree(client: TestClient, db: Database, job_id: str) -> None:
    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(lambda _: client.post(f"/jobs/{job_id}/cancel").status_code, range(32)))
    assert answers == [202] * 32
    events = client.get(f"/jobs/{job_id}/events").json()["data"]
    assert [event["data"]["to"] for event in events] == ["queued", "cancelled"]


def test_a_profile_is_written_out_and_what_came_from_it_is_told(client: TestClient, body: dict[str, Any]) -> None:
    wanted = body | {"profile": "twitter-bert", "hyperparameters": {"num_train_epochs": 2}}
    job = client.post("/jobs", json=wanted).json()
    assert (job["profile"], job["base_model"]["id"]) == ("twitter-bert", "minilm-l6")
    assert (job["hyperparameters"]["num_train_epochs"], job["hyperparameters"]["batch_size"]) == (2, 16)
    reasons = {each["field"]: each["reason"] for each in job["resolutions"]}
    assert reasons["batch_size"] == "profile twitter-bert"
    assert "num_train_epochs" not in reasons and "base_model" not in reasons
    plan = client.post("/jobs/validate", json=wanted).json()
    assert plan["request"]["hyperparameters"]["metric_for_best_model"] == "accuracy"
    assert client.post("/jobs", json=body).json()["profile"] is None
    refused = client.post("/jobs", json=body | {"profile": "twiter-bert"})
    assert refused.status_code == 422 and "twitter-bert" in refused.text
