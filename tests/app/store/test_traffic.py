"""How calls are split, on both databases: recorded, ended by moves, and safe from retention."""

from typing import Any

import pytest

from app.errors import Conflict, InternalError
from app.schemas.traffic import Canary, Traffic
from app.store import models, promotions, retention, tables, traffic
from app.store.promotions import Note

TENTH = Traffic(canary=Canary(version=2, percent=10))


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has versions 1 to 4, the first one champion."""
    for _ in range(4):
        store.publish(store.running())
    store.do(models.set_alias, "mood", "champion", 1)
    return store


def split(store: Any, wish: Traffic, **note: Any) -> tables.AliasTraffic:
    def put(session: Any) -> tables.AliasTraffic:
        alias = models.get_alias(session, "mood", "champion")
        assert alias is not None
        return traffic.put(session, models.locked(session, "mood"), alias, wish, Note(kind="traffic", **note))

    return store.do(put)


def found(store: Any) -> Traffic | None:
    row = store.do(traffic.get, "mood", "champion")
    return None if row is None else Traffic.model_validate(row.traffic)


def history(store: Any) -> list[tuple[str, int | None, int | None, Any]]:
    rows, _ = store.do(promotions.history, "mood", "champion", 100)
    return [(row.kind, row.from_version, row.to_version, row.traffic) for row in rows]


def test_a_split_is_seen_by_servers_and_recorded_with_who_and_why(mood: Any) -> None:
    row = split(mood, TENTH, actor="api-key", reason="to be tried")
    assert split(mood, TENTH).revision == row.revision, "the same again is no change"
    assert mood.do(models.registry_snapshot)["mood"]["traffic"] == {"champion": TENTH}
    [line, _], _ = mood.do(promotions.history, "mood", "champion", 100)
    assert (line.kind, line.actor, line.reason, line.traffic) == (
        "traffic",
        "api-key",
        "to be tried",
        TENTH.model_dump(mode="json"),
    )
    assert (line.from_version, line.to_version) == (1, 1)


def test_every_move_ends_the_canary_and_says_so(mood: Any) -> None:
    for move in (2, 3):
        split(mood, Traffic(canary=Canary(version=4 if move == 3 else 2, percent=10)))
        mood.do(models.set_alias, "mood", "champion", move)
        assert found(mood) is None
        assert history(mood)[0] == ("move", move - 1, move, Traffic().model_dump(mode="json"))
    split(mood, Traffic(canary=Canary(version=4, percent=10)))
    assert mood.do(promotions.previous, "mood", "champion") == 2, "a split is no move to go back from"
    mood.do(models.set_alias, "mood", "champion", 2, None, Note(kind="rollback"))
    assert found(mood) is None
    split(mood, Traffic(canary=Canary(version=4, percent=10)))
    mood.do(models.delete_alias, "mood", "champion")
    assert found(mood) is None
    assert mood.do(models.registry_snapshot)["mood"]["traffic"] == {}


def test_a_split_is_ended_by_hand(mood: Any) -> None:
    def clear(session: Any) -> bool:
        alias = models.get_alias(session, "mood", "champion")
        assert alias is not None
        return traffic.clear(session, models.locked(session, "mood"), alias, Note(kind="traffic", reason="enough"))

    assert mood.do(clear) is False
    before = split(mood, TENTH).revision
    assert mood.do(clear) is True
    assert found(mood) is None
    assert mood.do(models.get_model, "mood").revision > before, "an ETag never comes back"
    assert history(mood)[0] == ("traffic", 1, 1, Traffic().model_dump(mode="json"))


def test_what_calls_go_to_stays(mood: Any) -> None:
    split(mood, TENTH)
    with pytest.raises(Conflict) as caught:
        mood.do(retention.delete_version, "mood", 2)
    assert caught.value.extra["uses"] == ["it is the canary of the alias champion"]
    pruned = mood.do(retention.prune, "mood", 1, dry_run=False)
    assert [number for number, _ in pruned.deleted] == [3]
    assert pruned.kept[2] == "it is the canary of the alias champion"
    row = mood.do(models.get_version, "mood", 2)
    with pytest.raises(InternalError):  # whoever forgot to ask is stopped by the database
        mood.do(lambda session: session.delete(session.get(tables.ModelVersion, row.id)))


def test_what_a_newer_release_wrote_hides_nothing_else(mood: Any) -> None:
    split(mood, TENTH)
    mood.do(models.set_alias, "mood", "stable", 3)

    def meddle(session: Any) -> None:
        session.get(tables.AliasTraffic, ("mood", "champion")).traffic = {"canary": None, "mirror": {"version": 2}}

    mood.do(meddle)
    entry = mood.do(models.registry_snapshot)["mood"]
    assert (entry["aliases"], entry["traffic"]) == ({"champion": 1, "stable": 3}, {})
