"""Named keys: the first closes the service, each may do what its scopes say, and none is lost or leaked."""

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from app.store.engine import Database
from app.store.tables import ApiKey
from tests.app.api.conftest import Open
from tests.app.api.problem import problem_of

OPERATOR = "k" * 32


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def make(client: TestClient, name: str, *scopes: str, by: str | None = None, **wishes: Any) -> httpx.Response:
    body = {"name": name, "scopes": list(scopes)} | wishes
    return client.post("/keys", json=body, headers={} if by is None else bearer(by))


@pytest.fixture
def boss(client: TestClient) -> str:
    """The first key of a service that was open."""
    return str(make(client, "boss", "admin").json()["key"])


def test_the_first_key_closes_the_service_and_must_be_able_to_open_it(client: TestClient) -> None:
    assert client.get("/keys/current").json()["name"] == "anonymous"
    for wishes in ({"scopes": ["write"]}, {"scopes": ["admin"], "expires_in_days": 1}):
        refused = client.post("/keys", json={"name": "ci"} | wishes)
        assert problem_of(refused) == (409, "first-key-not-admin")
    assert client.get("/keys").json()["data"] == []
    made = make(client, "boss", "admin")
    assert made.status_code == 201
    assert problem_of(client.get("/jobs")) == (401, "unauthenticated")
    own = bearer(made.json()["key"])
    assert client.get("/keys/current", headers=own).json() == {
        "name": "boss",
        "scopes": ["predict", "read", "write", "admin"],
        "expires_at": None,
    }
    [listed] = client.get("/keys", headers=own).json()["data"]
    assert listed == {name: value for name, value in made.json().items() if name != "key"}
    assert (listed["created_by"], listed["status"]) == ("anonymous", "active")
    assert made.json()["key"].startswith(listed["prefix"])


@pytest.mark.parametrize(
    ("wishes", "pointer"),
    [
        ({"name": "Boss"}, "/name"),
        ({"name": "anonymous"}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["read", "read"]}, "/scopes"),
        ({"scopes": ["delete"]}, "/scopes/0"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"expires_in_days": 4000}, "/expires_in_days"),
    ],
)
def test_what_is_wrong_with_a_wish_is_told_at_its_field(client: TestClient, wishes: Any, pointer: str) -> None:
    refused = client.post("/keys", json={"name": "ci", "scopes": ["read"]} | wishes)
    assert problem_of(refused) == (422, "invalid-value")
    [error] = refused.json()["errors"]
    assert error["pointer"] == pointer and error["remedy"]


def test_a_key_may_do_what_its_scopes_say_and_hears_which_it_lacks(client: TestClient, boss: str) -> None:
    keys = {
        name: make(client, name, name, by=boss, expires_in_days=9).json()["key"]
        for name in ("predict", "read", "write")
    }

    def asked(scope: str, method: str, path: str) -> tuple[int, str]:
        answer = client.request(method, path, json={} if method == "POST" else None, headers=bearer(keys[scope]))
        return answer.status_code, answer.json().get("detail", "")

    for scope, method, path, lacks in (
        ("predict", "GET", "/jobs", "read"),
        ("predict", "POST", "/jobs", "write"),
        ("read", "POST", "/predict", "predict"),
        ("read", "POST", "/v1/jobs", "write"),
        ("read", "POST", "/predictions/p/feedback", "predict or write"),
        ("write", "POST", "/predict", "predict"),
        ("write", "POST", "/models/mood/prune", "admin"),
        ("write", "GET", "/keys", "admin"),
    ):
        words = f"The key {scope} may not do this: it lacks the scope {lacks}."
        assert asked(scope, method, path) == (403, words), (scope, path)
    for scope, method, path, status in (
        ("predict", "POST", "/predict", 422),
        ("predict", "GET", "/keys/current", 200),
        ("predict", "GET", "/no/such/path", 404),
        ("predict", "PATCH", "/jobs", 405),
        ("read", "GET", "/jobs", 200),
        ("write", "GET", "/jobs", 200),
        ("write", "POST", "/jobs", 422),
    ):
        assert asked(scope, method, path)[0] == status, (scope, path)
    refused = client.get("/jobs", headers=bearer(keys["predict"]))
    assert problem_of(refused) == (403, "scope-missing")
    assert (refused.json()["needed_scopes"], refused.json()["scopes"]) == (["read"], ["predict"])


def test_histories_name_the_key(client: TestClient, job_id: str, boss: str, publish: Callable[..., int]) -> None:
    client.headers.update(bearer(make(client, "nightly", "write", by=boss).json()["key"]))
    client.put("/models/mood/aliases/champion", json={"version": publish()})
    [move] = client.get("/models/mood/aliases/champion/history").json()["data"]
    client.post(f"/jobs/{job_id}/cancel")
    events = client.get(f"/jobs/{job_id}/events", headers={"Accept": "application/json"}).json()["data"]
    assert (move["actor"], [event["data"]["actor"] for event in events]) == ("nightly", ["client", "nightly"])


def test_a_secret_is_shown_once_and_kept_nowhere(client: TestClient, boss: str, sqlite_url: str) -> None:
    once = bearer(boss) | {"Idempotency-Key": "once"}
    made = client.post("/keys", json={"name": "ci", "scopes": ["read"]}, headers=once)
    again = client.post("/keys", json={"name": "ci", "scopes": ["read"]}, headers=once)
    assert (made.status_code, problem_of(again)) == (201, (409, "key-name-taken"))
    secret = made.json()["key"]
    assert secret not in client.get("/keys", headers=bearer(boss)).text
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert secret not in "\n".join(connection.iterdump())


def test_a_revoked_key_is_refused_at_once_and_by_other_processes_soon(
    open_client: Open, db: Database, client: TestClient, boss: str
) -> None:
    made = make(client, "ci", "read", by=boss).json()
    own, place = bearer(made["key"]), f"/keys/{made['id']}"
    with open_client() as other:
        assert other.get("/jobs", headers=own).status_code == 200
        assert [client.delete(place, headers=bearer(boss)).status_code for _ in range(2)] == [204, 204]
        assert problem_of(client.get("/jobs", headers=own)) == (401, "unauthenticated")
        past = datetime.now(UTC) - timedelta(days=1)
        db.run(lambda session: session.execute(update(ApiKey).where(ApiKey.name == "boss").values(expires_at=past)))
        until(lambda: other.get("/jobs", headers=own).status_code == 401)
        assert problem_of(other.get("/jobs", headers=bearer(boss))) == (401, "key-expired")
        assert problem_of(other.get("/jobs")) == (401, "unauthenticated")  # and it does not open the service again


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_last_admin_is_not_lost_by_accident(client: TestClient, boss: str) -> None:
    client.headers.update(bearer(boss))
    make(client, "ci", "read")
    make(client, "guest", "admin", expires_in_days=1)  # may administer, but not for good
    key_of = {item["name"]: item["id"] for item in client.get("/keys").json()["data"]}
    refused = client.delete(f"/keys/{key_of['boss']}")
    assert problem_of(refused) == (409, "last-admin-key")
    assert "nobody can make or revoke keys" in refused.json()["detail"]
    assert problem_of(client.delete("/keys/key_1")) == (404, "key-not-found")
    for name in ("ci", "guest"):
        assert client.delete(f"/keys/{key_of[name]}").status_code == 204
    assert "open again" in client.delete(f"/keys/{key_of['boss']}").json()["detail"]
    assert client.delete(f"/keys/{key_of['boss']}?force=true").status_code == 204
    client.headers.pop("Authorization")
    assert client.get("/jobs").status_code == 200
    assert [item["status"] for item in client.get("/keys?revoked=true").json()["data"]] == ["revoked"] * 3


def test_beside_the_key_of_the_settings_any_key_may_be_made_and_revoked(open_client: Open) -> None:
    with open_client(api_key=OPERATOR) as client:
        made = make(client, "ci", "read", by=OPERATOR).json()
        assert client.get("/keys/current", headers=bearer(made["key"])).json()["scopes"] == ["read"]
        admin = make(client, "boss", "admin", by=OPERATOR).json()
        assert admin["created_by"] == "api-key"
        for key in (made, admin):
            assert client.delete(f"/keys/{key['id']}", headers=bearer(OPERATOR)).status_code == 204
        assert client.get("/jobs").status_code == 401


def test_without_the_database_the_keys_that_were_known_are_let_in(
    open_client: Open, client: TestClient, boss: str, data_dir: Path, sqlite_url: str
) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).write_bytes(b"no database at all" * 1000)
    assert client.get("/jobs", headers=bearer(boss)).status_code == 500
    assert client.get("/serving", headers=bearer(boss)).status_code == 200
    assert problem_of(client.get("/serving", headers=bearer(boss + "x"))) == (401, "unauthenticated")
    with open_client(api_key=OPERATOR) as late:
        assert late.get("/serving", headers=bearer(OPERATOR)).status_code == 200
        assert problem_of(late.get("/serving", headers=bearer(boss))) == (500, "database-damaged")
        assert problem_of(late.get("/serving")) == (401, "unauthenticated")


def test_when_a_key_was_used_is_written_beside_the_requests(open_client: Open, client: TestClient, boss: str) -> None:
    client.get("/jobs", headers=bearer(boss))
    client.app.state.services.keyring.flush()
    [listed] = client.get("/keys", headers=bearer(boss)).json()["data"]
    assert datetime.now(UTC) - datetime.fromisoformat(listed["last_used_at"]) < timedelta(hours=1)
