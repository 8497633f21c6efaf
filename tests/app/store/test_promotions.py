"""Policies and the history of aliases, on both databases."""

from typing import Any

import pytest

from app.errors import Unprocessable
from app.store import cursors, models, promotions
from app.store.promotions import Note


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has versions 1 to 4."""
    for _ in range(4):
        store.publish(store.running())
    return store


def moves(store: Any, alias: str = "champion") -> list[tuple[str, int | None, int | None]]:
    rows, _ = store.do(promotions.history, "mood", alias, 100)
    return [(row.kind, row.from_version, row.to_version) for row in rows]


def back(store: Any) -> int | None:
    version = store.do(promotions.previous, "mood", "champion")
    if version is not None:
        store.do(models.set_alias, "mood", "champion", version, None, Note(kind="rollback"))
    return version


def test_every_move_is_written_down_with_who_and_why(mood: Any) -> None:
    note = Note(actor="api-key", forced=True, reason="because", checks=[{"name": "metric-floor", "passed": False}])
    moved = mood.do(models.set_alias, "mood", "champion", 2, None, note)
    mood.do(models.set_alias, "mood", "champion", 2)  # no move
    mood.do(models.set_alias, "mood", "other", 1)
    mood.do(models.delete_alias, "mood", "champion")
    (gone, set_), _ = mood.do(promotions.history, "mood", "champion", 10)
    assert (gone.kind, gone.from_version, gone.to_version, gone.actor) == ("remove", 2, None, "anonymous")
    assert (set_.kind, set_.from_version, set_.to_version) == ("move", None, 2)
    assert (set_.actor, set_.forced, set_.reason, set_.checks) == ("api-key", True, "because", list(note.checks))
    assert set_.at == moved.updated_at


def test_history_comes_in_pages(mood: Any) -> None:
    for version in (1, 2, 3):
        mood.do(models.set_alias, "mood", "champion", version)
    first, cursor = mood.do(promotions.history, "mood", "champion", 2)
    rest, end = mood.do(promotions.history, "mood", "champion", 2, cursor)
    assert [row.to_version for row in first + rest] == [3, 2, 1] and end is None
    for bad in ("x", cursors.encode("a"), cursors.encode("9" * 30)):
        with pytest.raises(Unprocessable):
            mood.do(promotions.history, "mood", "champion", 2, bad)


def test_rollbacks_go_back_one_by_one(mood: Any) -> None:
    for version in (1, 2, 3):
        mood.do(models.set_alias, "mood", "champion", version)
    assert (back(mood), back(mood), back(mood)) == (2, 1, None)
    mood.do(models.set_alias, "mood", "champion", 4)
    assert (back(mood), back(mood)) == (1, None)


def test_a_removed_alias_has_nothing_to_go_back_to(mood: Any) -> None:
    assert mood.do(promotions.previous, "mood", "champion") is None
    mood.do(models.set_alias, "mood", "champion", 1)
    mood.do(models.delete_alias, "mood", "champion")
    mood.do(models.set_alias, "mood", "champion", 2)
    assert back(mood) is None


def test_a_failed_move_is_not_in_the_history(mood: Any) -> None:
    moved = mood.do(models.set_alias, "mood", "champion", 1)
    for version, revision in ((2, 0), (9, moved.revision)):
        with pytest.raises(Exception, match=r"meanwhile|no version"):
            mood.do(models.set_alias, "mood", "champion", version, revision)
    assert moves(mood) == [("move", None, 1)]


def test_a_policy_is_set_changed_and_removed(mood: Any) -> None:
    def put(session: Any, content: dict[str, Any]) -> Any:
        return promotions.put_policy(session, models.locked(session, "mood"), "champion", content, "api-key")

    def remove(session: Any) -> bool:
        return promotions.delete_policy(session, models.locked(session, "mood"), "champion")

    first = mood.do(put, {"a": 1})
    second = mood.do(put, {"a": 2})
    assert second.revision > first.revision
    found = mood.do(promotions.policy, "mood", "champion")
    assert (found.policy, found.updated_by, found.revision) == ({"a": 2}, "api-key", second.revision)
    assert mood.do(promotions.policy, "mood", "other") is None
    assert (mood.do(remove), mood.do(remove)) == (True, False)
    again = mood.do(put, {"a": 2})
    assert again.revision > second.revision, "a revision never comes back"
