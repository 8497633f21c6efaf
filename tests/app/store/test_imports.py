"""The life of an import, on both databases."""

from typing import Any

import pytest
from sqlalchemy import update

from app.schemas.sources import ImportRequest
from app.store import datasets, imports
from app.store.engine import now_plus
from app.store.errands import MOST_LOSSES
from app.store.tables import Import

REQUEST = ImportRequest.model_validate({"name": "tweets", "from": {"source": "twitter"}})
ERROR = {"code": "hub-unreachable", "category": "resource", "detail": "No answer.", "remedy": "Wait."}


@pytest.fixture
def claim(store: Any) -> Any:
    """Take the next import."""

    def claim(owner: str = "wrk_1", lease: float = 60.0) -> imports.ImportClaim | None:
        return store.do(imports.claim_next, owner=owner, lease_seconds=lease)

    return claim


def read(store: Any, import_id: str) -> Import:
    row = store.do(imports.get, import_id)
    assert row is not None
    return row


def let_expire(store: Any) -> None:
    store.do(lambda session: session.execute(update(Import).values(lease_until=now_plus(-1))))


def test_the_oldest_is_taken_first_and_only_once(store: Any, claim: Any) -> None:
    first, second = (store.do(imports.submit, REQUEST).id for _ in range(2))
    assert store.do(imports.waiting) == 2
    taken = claim()
    assert (taken.id, taken.attempt, taken.request) == (first, 1, REQUEST)
    assert claim().id == second
    assert claim() is None
    row = read(store, first)
    assert (row.status, row.lease_owner, row.started_at is None) == ("running", "wrk_1", False)


def test_an_import_that_succeeds_makes_its_dataset(store: Any, claim: Any, new_dataset: Any) -> None:
    store.do(imports.submit, REQUEST)
    taken = claim()
    assert store.do(imports.succeed, taken, new_dataset("ds_new"))
    row = read(store, taken.id)
    assert (row.status, row.dataset_id, row.lease_until) == ("succeeded", "ds_new", None)
    assert row.finished_at is not None
    assert store.do(datasets.get, "ds_new") is not None
    assert store.do(imports.waiting) == 0
    assert not store.do(imports.fail, taken, ERROR)
    store.do(datasets.delete, "ds_new")
    assert read(store, taken.id).dataset_id is None


def test_a_success_whose_answer_was_lost_is_seen_again(store: Any, claim: Any, new_dataset: Any) -> None:
    store.do(imports.submit, REQUEST)
    taken = claim()
    assert store.do(imports.succeed, taken, new_dataset("ds_new"))
    assert store.do(imports.succeed, taken, new_dataset("ds_new"))
    assert not store.do(imports.succeed, taken, new_dataset("ds_other"))
    assert read(store, taken.id).dataset_id == "ds_new"


def test_a_failure_says_why(store: Any, claim: Any) -> None:
    store.do(imports.submit, REQUEST)
    taken = claim()
    assert store.do(imports.fail, taken, ERROR)
    row = read(store, taken.id)
    assert (row.status, row.status_reason, row.error) == ("failed", "No answer.", ERROR)


def test_a_silent_worker_loses_its_import_and_can_write_no_more(store: Any, claim: Any, new_dataset: Any) -> None:
    store.do(imports.submit, REQUEST)
    old = claim()
    assert store.do(imports.beat, old, lease_seconds=60).held
    let_expire(store)
    new = claim("wrk_2")
    assert (new.id, new.attempt) == (old.id, 2)
    assert not store.do(imports.beat, old, lease_seconds=60).held
    assert not store.do(imports.succeed, old, new_dataset("ds_late"))
    assert store.do(datasets.get, "ds_late") is None
    assert store.do(imports.release, new, "The worker shut down.")
    assert read(store, new.id).status == "queued"


def test_an_import_that_kills_its_workers_is_given_up(store: Any, claim: Any) -> None:
    import_id = store.do(imports.submit, REQUEST).id
    for attempt in range(1, MOST_LOSSES + 1):
        assert claim().attempt == attempt
        let_expire(store)
    assert claim() is None
    row = read(store, import_id)
    assert (row.status, row.error["code"]) == ("failed", "worker-lost-limit")


def test_workers_that_give_an_import_back_do_not_count(store: Any, claim: Any) -> None:
    import_id = store.do(imports.submit, REQUEST).id
    for _ in range(MOST_LOSSES):
        assert store.do(imports.release, claim(), "The worker shut down.")
    assert claim().attempt == MOST_LOSSES + 1
    let_expire(store)
    assert claim().attempt == MOST_LOSSES + 2
    assert (read(store, import_id).status, read(store, import_id).lost_count) == ("running", 1)


def test_imports_are_listed_newest_first(store: Any) -> None:
    ids = [store.do(imports.submit, REQUEST).id for _ in range(3)]
    rows, cursor = store.do(imports.page, 2)
    assert [row.id for row in rows] == ids[:0:-1]
    rest, end = store.do(imports.page, 2, cursor)
    assert ([row.id for row in rest], end) == (ids[:1], None)
