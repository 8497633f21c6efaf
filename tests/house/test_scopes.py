"""What keys may do: every route of the API is in the one table, and the guard finds it there."""

import io
import re

import pytest

from app import bearer
from app.api.routes import PARTS
from app.api.scopes import NEEDED, PUBLIC, Rulebook
from app.errors import Forbidden
from app.logging import configure, get_logger
from app.main import create_app
from app.settings import Settings

OPEN = Settings(_env_file=None, log_level="INFO", log_format="json")


def test_the_table_has_every_route_of_the_document_and_no_other() -> None:
    document = create_app(OPEN).openapi()
    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert described == set(NEEDED)


def test_the_guard_finds_what_a_route_wants_by_its_path() -> None:
    rules = Rulebook(PARTS)
    for route, needed in NEEDED.items():
        method, _, path = route.partition(" ")
        assert rules.needed(method, re.sub(r"\{\w+\}", "x", path)) == needed, route


def test_what_is_in_no_table_wants_an_admin_and_what_is_nowhere_is_for_others_to_say() -> None:
    rules = Rulebook(PARTS)
    left = NEEDED.pop("GET /queues")
    try:
        assert rules.needed("GET", "/queues") == ("admin",)
    finally:
        NEEDED["GET /queues"] = left
    assert rules.needed("GET", "/nowhere") is rules.needed("PATCH", "/jobs") is None


def test_only_health_answers_without_a_key() -> None:
    assert {path.rsplit("/", 1)[1] for path in PUBLIC} == {"healthz", "readyz", "live", "ready"}


def test_no_log_line_has_a_key_in_it() -> None:
    key, stream = bearer.new_key(), io.StringIO()
    configure(OPEN, stream=stream)
    get_logger("x").info(f"made {key}", shown=[f"({key})"], value=key, beginning=bearer.beginning(key))
    assert key not in stream.getvalue()
    assert stream.getvalue().count("ts_[hidden]") == 3 and bearer.beginning(key) in stream.getvalue()


def test_a_named_key_cannot_become_the_one_that_may_do_everything() -> None:
    with pytest.raises(Forbidden) as caught:
        create_app(OPEN.model_copy(update={"api_key": Settings(_env_file=None, api_key=bearer.new_key()).api_key}))
    assert caught.value.code == "api-key-is-named"
