"""Every error of every route is a problem of one shape: enumerated from the application, so that none is forgotten."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from app.api.routes import PARTS
from app.main import create_app
from app.settings import Settings
from tests.app.api.problem import problem_of
from tests.databases import migrated_sqlite

BASE = "http://127.0.0.1:8000"
VERSION_PREFIX = "/v1"
KEY = "a-key-of-more-than-16-characters"
PUBLIC = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs"}
PLACES = {
    "dataset_id": "ds_1",
    "import_id": "imp_1",
    "job_id": "job_1",
    "prediction_id": "pred_1",
    "reference": "nobody",
    "name": "nobody",
    "version": "1",
}
MEMBERS = {"type", "title", "status", "detail", "code", "category", "retryable", "request_id"}
JSON_TYPE = {"Content-Type": "application/json"}


def routes() -> Iterator[tuple[str, str, APIRoute]]:
    """Give method, path and route of everything the API answers."""
    for part in PARTS:
        for route in part.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, filled(route.path), route


def filled(path: str) -> str:
    """Put something that does not exist into the place holders."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: PLACES.get(found.group(1), "x"), path)


ROUTES = list(routes())
ALL = [pytest.param(method, path, id=f"{method} {path}") for method, path, _ in ROUTES]
WITH_PREFIX = [
    pytest.param(method, VERSION_PREFIX + path, id=f"{method} {VERSION_PREFIX}{path}") for method, path, _ in ROUTES
]
WITH_JSON = [pytest.param(method, path, id=f"{method} {path}") for method, path, route in ROUTES if route.body_field]


def create(folder: Path, **changes: Any) -> TestClient:
    """Make a client of an application with a migrated database of its own."""
    settings = Settings(
        _env_file=None, data_dir=folder, hub_endpoint="http://127.0.0.1:9", log_level="ERROR", **changes
    )
    migrated_sqlite(settings.data_dir / "tunesmith.db")
    return TestClient(create_app(settings), base_url=BASE, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A running API without a key."""
    with create(tmp_path_factory.mktemp("open"), max_body_bytes=2048) as client:
        yield client


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A running API with a key."""
    with create(tmp_path_factory.mktemp("locked"), api_key=KEY) as client:
        yield client


def whole_problem_of(answer: Any) -> tuple[int, str]:
    """Check the shape once more, in full: the same members everywhere, and a remedy."""
    status, code = problem_of(answer)
    body = answer.json()
    assert body.keys() >= MEMBERS
    assert body["remedy"], f"{code} does not say what to do"
    assert body["category"] in {"user", "data", "resource", "conflict", "internal"}
    for broken in body.get("errors", []):
        assert broken.keys() >= {"pointer", "rule", "detail"}
        assert broken["pointer"] == "" or broken["pointer"].startswith("/")
    assert answer.headers["x-content-type-options"] == "nosniff"
    return status, code


def test_there_are_routes_of_every_part() -> None:
    assert len(ROUTES) >= 25
    assert len(WITH_JSON) >= 4
    assert {path.split("/")[1] for _, path, _ in ROUTES} >= {
        "datasets",
        "jobs",
        "models",
        "predict",
        "healthz",
        "readyz",
        "metrics",
    }


@pytest.mark.parametrize(("method", "path"), ALL)
def test_whatever_goes_wrong_is_a_problem_with_the_callers_id(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, f"{path}?no_such_parameter=1", headers={"X-Request-Id": "mine-1"})
    assert whole_problem_of(answer)[0] in {400, 415, 422}
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize(("method", "path"), ALL)
def test_other_methods_are_refused_and_the_right_ones_named(client: TestClient, method: str, path: str) -> None:
    allowed = {other for other, same, _ in ROUTES if same == path}
    answer = client.request("PATCH", path)
    assert whole_problem_of(answer) == (405, "method-not-allowed")
    assert {name.strip() for name in answer.headers["allow"].split(",")} >= allowed


@pytest.mark.parametrize(("method", "path"), ALL)
def test_there_is_nothing_beside_the_paths(client: TestClient, method: str, path: str) -> None:
    for beside in (f"{path}/", f"{path}/no/such/path", f"/v2{path}"):
        assert whole_problem_of(client.request(method, beside))[0] in {404, 405, 422}, beside


@pytest.mark.parametrize(
    ("method", "path"), [param for param in ALL if any(p in str(param.id) for p in ("_1", "nobody"))]
)
def test_what_does_not_exist_is_not_found_or_unprocessable(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert whole_problem_of(answer)[0] in {404, 422}


NO_KEYS = ({}, {"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"})


@pytest.mark.parametrize(("method", "path"), ALL + WITH_PREFIX)
def test_without_the_key_nobody_gets_in(locked: TestClient, method: str, path: str) -> None:
    for headers in NO_KEYS:
        answer = locked.request(method, path, headers=headers)
        if path.removeprefix(VERSION_PREFIX) in PUBLIC:
            assert answer.status_code in {200, 503}
            continue
        assert whole_problem_of(answer) == (401, "unauthenticated"), headers
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ALL)
def test_with_the_key_and_only_in_its_header(locked: TestClient, method: str, path: str) -> None:
    assert locked.request(method, path, headers={"Authorization": f"Bearer {KEY}"}).status_code != 401
    if path not in PUBLIC:
        assert locked.request(method, f"{path}?api_key={KEY}").status_code == 401
        twice = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
        assert locked.request(method, path, headers=twice).status_code == 401


UNREADABLE = [
    (b'{"a": ', "malformed-json"),
    (b'{"a": NaN}', "malformed-json"),
    (b'{"a": -Infinity}', "malformed-json"),
    (b'{"a": 1, "a": 2}', "malformed-json"),
    (b'{"a": "\xff"}', "malformed-json"),
    (b"[" * 1000 + b"]" * 1000, "malformed-json"),
    (b'{"a": "\\ud800"}', "invalid-text"),
    (b'{"a": "\\u0000"}', "invalid-text"),
    (b'{"\\udfff": 1}', "invalid-text"),
    (b"[]", "invalid-body"),
    (b"null", "invalid-body"),
    (b"1", "invalid-body"),
    (b"", "invalid-body"),
    (b'{"a": 1e400}', "unknown-field"),
    (b" " * 3000, "body-too-large"),
]


@pytest.mark.parametrize(("method", "path"), WITH_JSON)
def test_bodies_that_cannot_be_read(client: TestClient, method: str, path: str) -> None:
    for content, code in UNREADABLE:
        status, found = whole_problem_of(client.request(method, path, content=content, headers=JSON_TYPE))
        assert found == code, content[:20]
        assert status == {"malformed-json": 400, "body-too-large": 413}.get(code, 422)


@pytest.mark.parametrize(("method", "path"), WITH_JSON)
def test_other_media_types_are_refused(client: TestClient, method: str, path: str) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/x-python-pickle"):
        answer = client.request(method, path, content=b"{}", headers={"Content-Type": media_type})
        assert whole_problem_of(answer) == (415, "unsupported-media-type")


@pytest.mark.parametrize(("method", "path"), WITH_JSON)
def test_a_body_without_a_length_is_measured_too(client: TestClient, method: str, path: str) -> None:
    chunks = (b'"' + b"x" * 1000 for _ in range(5))
    assert whole_problem_of(client.request(method, path, content=chunks, headers=JSON_TYPE)) == (413, "body-too-large")


@pytest.mark.parametrize(("method", "path", "route"), [item for item in ROUTES if item[2].body_field])
def test_a_misspelt_field_is_answered_with_the_nearest(
    client: TestClient, method: str, path: str, route: APIRoute
) -> None:
    assert route.body_field is not None
    model = route.body_field.field_info.annotation
    for name in (field.alias or name for name, field in model.model_fields.items()):
        misspelt = name + name[-1]
        answer = client.request(method, path, json={misspelt: 1})
        assert whole_problem_of(answer) == (422, "unknown-field")
        broken = next(item for item in answer.json()["errors"] if item["pointer"] == f"/{misspelt}")
        assert broken["remedy"] == f"Did you mean {name}?"
        assert name in broken["allowed"]


def test_foreign_hosts_and_pages_of_other_sites_are_kept_out(client: TestClient) -> None:
    assert whole_problem_of(client.get("/jobs", headers={"Host": "evil.example"})) == (400, "unknown-host")
    no_addresses = [{"Origin": "http://["}, {"Origin": "http://ü".encode()}, {"Origin": "null"}]
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, *no_addresses):
        answer = client.post("/predict", json={"model": "m", "inputs": "x"}, headers=headers)
        assert whole_problem_of(answer) == (403, "cross-origin-request")


def test_too_many_headers_are_refused(client: TestClient) -> None:
    answer = client.get("/jobs", headers={f"X-{number}": "1" for number in range(200)})
    assert whole_problem_of(answer) == (431, "headers-too-large")


@pytest.mark.parametrize("wished", ["a b", "x" * 200, "ü".encode(), ""], ids=["space", "long", "letters", "empty"])
def test_an_id_that_could_harm_a_log_is_replaced(client: TestClient, wished: str | bytes) -> None:
    answer = client.get("/jobs/job_1", headers={"X-Request-Id": wished})
    assert whole_problem_of(answer)[0] == 404
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])


ASK_NO_SQL = ("/healthz", "/metrics", "/serving", "/v2", "/v2/health/live")
READING = [param for param in ALL if param.values[0] == "GET" and not str(param.values[1]).endswith(ASK_NO_SQL)]


@pytest.mark.parametrize("damage", ["damaged", "empty"])
def test_a_database_that_failed_is_told_without_its_secrets(tmp_path: Path, damage: str) -> None:
    with create(tmp_path / "data") as client:
        assert client.get("/jobs").status_code == 200
    database = tmp_path / "data" / "tunesmith.db"
    database.write_bytes(b"no database at all" * 1000 if damage == "damaged" else b"")
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", log_level="ERROR")
    expected = {
        "damaged": {(500, "database-damaged"), (503, "not-ready")},
        "empty": {(503, "database-not-migrated"), (503, "not-ready")},
    }
    told = 0
    with TestClient(create_app(settings), base_url=BASE, raise_server_exceptions=False) as client:
        for param in READING:
            method, path = param.values
            answer = client.request(str(method), in_form(str(path)))
            found = whole_problem_of(answer)
            assert found in expected[damage] or found[0] == 404, path  # a few know without asking that it cannot be
            told += found in expected[damage]
            assert not re.search(r"SELECT|sqlite|Traceback|tunesmith\.db", json.dumps(answer.json())), path
            assert ("retry-after" in answer.headers) == (found[0] == 503)
        assert client.get("/healthz").status_code == 200
    assert told > len(READING) / 2


def in_form(path: str) -> str:
    """Make ids that could exist, so that the database is asked for them."""
    return path.replace("ds_1", "ds_" + "0" * 32).replace("job_1", "job_" + "0" * 32)


def test_what_nobody_foresaw_tells_only_where_to_look(tmp_path: Path) -> None:
    with create(tmp_path / "data") as client:
        client.app.state.services = None  # as a fault in our own code would
        answer = client.get("/jobs", headers={"X-Request-Id": "mine-2"})
    assert whole_problem_of(answer) == (500, "internal-error")
    assert answer.json()["request_id"] == "mine-2"
    assert "NoneType" not in answer.text and "Traceback" not in answer.text
