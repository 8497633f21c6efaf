"""Logged answers on both databases: kept once, judged once, forgotten in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.ids import new_id
from app.store import predictions, retention
from app.store.tables import LoggedPrediction


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has two versions."""
    for _ in range(2):
        store.publish(store.running())
    return store


def row(**changes: Any) -> dict[str, Any]:
    values = {
        "id": new_id("pred"),
        "model_name": "mood",
        "alias": "champion",
        "version": 1,
        "at": datetime.now(UTC),
        "label": "a",
        "labels": None,
        "score": 0.75,
        "tokens": 7,
        "text": None,
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }
    return values | changes


def ids(store: Any, **wishes: Any) -> list[str]:
    wishes = {"version": None, "judged": None, "limit": 100, "cursor": None} | wishes
    found, _ = store.do(predictions.page, "mood", **wishes)
    return [item.id for item in found]


def judge(store: Any, prediction_id: str, truth: list[str]) -> bool:
    def work(session: Any) -> bool:
        found = predictions.get(session, prediction_id, for_update=True)
        assert found is not None
        return predictions.judge(session, found, truth, right=truth == [found.label])

    return store.do(work)


def test_an_answer_is_kept_once_however_often_it_is_written(mood: Any) -> None:
    rows = [row(), row()]
    for _ in range(2):
        mood.do(predictions.insert, rows)
    judge(mood, rows[0]["id"], ["a"])
    mood.do(predictions.insert, rows)
    assert set(ids(mood)) == {item["id"] for item in rows}
    assert mood.do(predictions.get, rows[0]["id"]).right is True


def test_the_last_word_counts_and_the_same_word_changes_nothing(mood: Any) -> None:
    [one] = rows = [row()]
    mood.do(predictions.insert, rows)
    assert judge(mood, one["id"], ["b"]) is True
    first: LoggedPrediction = mood.do(predictions.get, one["id"])
    assert (first.truth, first.right) == (["b"], False)
    assert judge(mood, one["id"], ["b"]) is False
    assert mood.do(predictions.get, one["id"]).feedback_at == first.feedback_at
    assert judge(mood, one["id"], ["a"]) is True
    last = mood.do(predictions.get, one["id"])
    assert (last.truth, last.right) == (["a"], True)


def test_pages_and_what_is_asked_for(mood: Any) -> None:
    rows = [row(version=1 + number % 2) for number in range(5)]
    mood.do(predictions.insert, rows)
    judge(mood, rows[2]["id"], ["a"])
    newest_first = [item["id"] for item in sorted(rows, key=lambda item: item["id"], reverse=True)]
    first, cursor = mood.do(predictions.page, "mood", version=None, judged=None, limit=3, cursor=None)
    rest, end = mood.do(predictions.page, "mood", version=None, judged=None, limit=3, cursor=cursor)
    assert [item.id for item in first + rest] == newest_first and end is None
    assert ids(mood, judged=True) == [rows[2]["id"]]
    assert len(ids(mood, judged=False)) == 4 and len(ids(mood, version=2)) == 2


def test_what_is_over_is_forgotten_and_so_is_what_a_deleted_version_said(mood: Any) -> None:
    past = datetime.now(UTC) - timedelta(seconds=5)
    rows = [row(expires_at=past), row(expires_at=past), row(), row(version=2)]
    mood.do(predictions.insert, rows)
    assert mood.do(predictions.purge) == 2
    assert set(ids(mood)) == {rows[2]["id"], rows[3]["id"]}
    mood.do(retention.delete_version, "mood", 1)
    assert ids(mood) == [rows[3]["id"]]
