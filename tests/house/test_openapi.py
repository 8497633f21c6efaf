"""The OpenAPI document: complete, in step with its committed copy, and every example in it true."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from app.api.routes import PARTS
from app.main import create_app
from app.schemas.problems import Problem
from app.settings import Settings
from scripts import generate_openapi

METHODS = ("get", "post", "put", "delete")
HTTP_LINK = re.compile(r"""(?:https?:)?//[\w.-]+\.\w""")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The application, not started."""
    return create_app(Settings(_env_file=None, log_level="WARNING"))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    """What it answers at /openapi.json."""
    return json.loads(json.dumps(app.openapi()))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each operation with its method and path."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def endpoints() -> dict[str, APIRoute]:
    """Give each route by its operation id."""
    return {route.name: route for part in PARTS for route in part.routes if isinstance(route, APIRoute)}


def test_the_committed_copy_is_current(app: FastAPI) -> None:
    is_current = generate_openapi.PAGE.read_text(encoding="utf-8") == generate_openapi.document(app)
    assert is_current, "run python scripts/generate_openapi.py"


def test_every_route_is_in_the_document(document: dict[str, Any]) -> None:
    described = {operation["operationId"] for _, operation in operations(document)}
    assert described == set(endpoints())


def test_every_operation_is_told_in_full(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"] and operation["description"], name
        assert operation["tags"] and operation["operationId"], name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])
        statuses = list(operation["responses"])
        assert statuses[0].startswith("2") and statuses[-1] == "default", (name, statuses)
        for status, answer in operation["responses"].items():
            assert answer["description"] not in ("", "Successful Response", "Validation Error"), (name, status)
            if not status.startswith("2"):
                assert list(answer["content"]) == ["application/problem+json"], (name, status)


def test_every_schema_and_every_field_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), f"{name} needs a docstring"
        for field, value in schema.get("properties", {}).items():
            assert value.get("description"), f"{name}.{field} needs a docstring under it"


def test_every_answer_with_a_body_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if status != "default":
                    assert "example" in content, f"{name} {status} {media_type}: add one to app/api/page/answers.json"


def test_every_example_of_an_answer_is_one_that_the_code_could_give(document: dict[str, Any]) -> None:
    routes = endpoints()
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if "application/json" in content and status != "default":
                route = routes[operation["operationId"]]
                example, bare = content["application/json"]["example"], route.response_model_exclude_none
                check(route.response_model, example, f"{name} {status}", exclude_none=bare)
            if "application/problem+json" in content and status != "default":
                problem = content["application/problem+json"]["example"]
                check(Problem, problem, f"{name} {status}", exclude_unset=True)
                assert problem["status"] == int(status), name


def check(model: Any, example: Any, place: str, *, exclude_unset: bool = False, exclude_none: bool = False) -> None:
    """Read an example as the model and write it again: nothing may be missing, nothing unknown."""
    adapter = TypeAdapter(model)
    read = adapter.validate_python(example)
    again = adapter.dump_python(read, mode="json", exclude_unset=exclude_unset, exclude_none=exclude_none)
    assert again == example, f"{place}: app/api/page/answers.json shows another shape than the code gives"


def test_every_example_of_a_body_is_accepted(document: dict[str, Any]) -> None:
    routes = endpoints()
    seen = 0
    for name, operation in operations(document):
        body = routes[operation["operationId"]].body_field
        if body is None:
            continue
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            TypeAdapter(body.field_info.annotation).validate_python(example["value"])
            assert example["summary"], name
            seen += 1
    assert seen >= 8


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in set(references(document)):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


class Loaded(HTMLParser):
    """Collects what a page loads from elsewhere, and what must not be in it for the policy to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            outside = (
                name in ("src", "href") and value not in ("data:,", "openapi.json") and not str(value).startswith("#")
            )
            if outside or name == "style" or name.startswith("on"):
                self.found.append((tag, name, value))


def test_the_page_needs_nothing_from_elsewhere(open_docs: TestClient) -> None:
    page = open_docs.get("/docs")
    parser = Loaded()
    parser.feed(page.text)
    assert parser.found == []
    assert HTTP_LINK.search(page.text) is None
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy and "'none'" in policy
    assert open_docs.get("/openapi.json").json()["info"]["title"] == "Tunesmith"


@pytest.fixture
def open_docs(app: FastAPI) -> TestClient:
    """A client of the application that was not started: the docs need no database."""
    return TestClient(app, base_url="http://127.0.0.1:8000")


def test_the_page_asks_for_a_key_and_the_document_wants_it() -> None:
    app = create_app(Settings(_env_file=None, api_key="k" * 32, log_level="WARNING"))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/openapi.json", headers={"Authorization": f"Bearer {'k' * 32}"}).status_code == 200


def test_without_docs_there_is_neither() -> None:
    app = create_app(Settings(_env_file=None, docs_enabled=False, log_level="WARNING"))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    assert [client.get(path).status_code for path in ("/docs", "/openapi.json", "/problems/x")] == [404, 404, 404]


def test_the_type_of_a_problem_leads_to_the_docs_without_a_key() -> None:
    app = create_app(Settings(_env_file=None, api_key="k" * 32, log_level="WARNING"))
    client = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    problem = client.get("/jobs").json()
    answer = client.get(problem["type"])
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs#problem-unauthenticated")
    assert client.get(answer.headers["location"]).status_code == 200
    assert client.get("/problems/Not%20a%20code").status_code == 422
