"""Idempotency keys on both databases."""

from typing import Any

import pytest

from app.errors import Conflict
from app.store import idempotency


def save(store: Any, key: str, operation: str = "POST /jobs") -> None:
    answer = {"body_sha256": "x", "status_code": 202, "headers": {"Location": "/jobs/1"}, "body": {"id": key}}
    store.do(idempotency.save, key, operation, **answer)


def test_an_answer_is_found_by_key_and_operation(store: Any) -> None:
    save(store, "k")
    save(store, "k", "POST /datasets")
    found = store.do(idempotency.find, "k", "POST /jobs")
    assert (found.status_code, found.headers, found.body) == (202, {"Location": "/jobs/1"}, {"id": "k"})
    assert store.do(idempotency.find, "k", "POST /models") is None
    assert store.do(idempotency.find, "K", "POST /jobs") is None


def test_a_key_is_taken_once(store: Any) -> None:
    save(store, "k")
    with pytest.raises(Conflict) as caught:
        save(store, "k")
    assert caught.value.code == "idempotency-key-taken"


def test_old_answers_are_forgotten(store: Any) -> None:
    save(store, "k")
    assert store.do(idempotency.purge, 60) == 0
    assert store.do(idempotency.purge, -1) == 1
    assert store.do(idempotency.find, "k", "POST /jobs") is None
