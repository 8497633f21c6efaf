"""The registry on both databases: versions, references, aliases, pages."""

from typing import Any

import pytest

from app.errors import NotFound, PreconditionFailed, Unprocessable
from app.store import cursors, jobs, models


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has versions 1, 2 and 3."""
    for _ in range(3):
        store.publish(store.running())
    return store


def test_a_version_holds_what_was_published(store: Any) -> None:
    claim = store.running()
    version = store.publish(claim)
    assert (version.model_name, version.version, version.job_id, version.attempt) == ("mood", 1, claim.job_id, 1)
    assert version.manifest == {"labels": ["a", "b"]} and version.bytes == 3_000_000_000
    assert store.do(models.of_jobs, [claim.job_id, "job_x"]).keys() == {claim.job_id}
    assert store.job(claim.job_id).status_reason == "Published as version 1 of mood."
    model = store.do(models.get_model, "mood")
    assert model.updated_at >= model.created_at
    assert store.do(models.get_model, "none") is None


def test_a_cancelled_attempt_publishes_nothing(store: Any) -> None:
    claim = store.running()
    assert store.do(jobs.cancel, claim.job_id) == "cancelling"
    with pytest.raises(models.LeaseLost) as caught:
        store.publish(claim)
    assert caught.value.code == "cancel-requested"
    assert store.do(models.get_model, "mood") is None, "everything was rolled back"


def test_versions_are_listed_newest_first(mood: Any) -> None:
    assert [version.version for version in mood.do(models.versions, "mood")] == [3, 2, 1]
    assert mood.do(models.get_version, "mood", 2).version == 2
    for number in (0, -1, 4, 2**31, 2**70):
        assert mood.do(models.get_version, "mood", number) is None


def test_references_are_resolved(mood: Any) -> None:
    def number(**reference: Any) -> int | None:
        version = mood.do(models.resolve, "mood", **reference)
        return None if version is None else version.version

    assert number() == 3, "without a champion the newest"
    mood.do(models.set_alias, "mood", "champion", 1)
    mood.do(models.set_alias, "mood", "shadow", 2)
    assert (number(), number(alias="shadow"), number(alias="champion"), number(version=3)) == (1, 2, 1, 3)
    assert number(alias="other") is None and number(version=9) is None
    assert mood.do(models.resolve, "none") is None


def test_an_alias_moves_with_a_new_revision(mood: Any) -> None:
    first = mood.do(models.set_alias, "mood", "champion", 1)
    same = mood.do(models.set_alias, "mood", "champion", 1)
    moved = mood.do(models.set_alias, "mood", "champion", 2, first.revision)
    assert same.revision == first.revision, "nothing moved"
    assert moved.revision > first.revision and moved.version == 2
    with pytest.raises(PreconditionFailed):
        mood.do(models.set_alias, "mood", "champion", 3, first.revision)
    with pytest.raises(PreconditionFailed):
        mood.do(models.set_alias, "mood", "champion", 3, 0)
    assert mood.do(models.set_alias, "mood", "other", 3, 0).version == 3
    assert [alias.alias for alias in mood.do(models.aliases, "mood")] == ["champion", "other"]


def test_a_revision_never_comes_back(mood: Any) -> None:
    first = mood.do(models.set_alias, "mood", "champion", 1)
    assert mood.do(models.delete_alias, "mood", "champion", first.revision) is True
    again = mood.do(models.set_alias, "mood", "champion", 2)
    assert again.revision > first.revision
    with pytest.raises(PreconditionFailed):
        mood.do(models.delete_alias, "mood", "champion", first.revision)


def test_an_alias_needs_its_model_and_version(mood: Any) -> None:
    with pytest.raises(NotFound) as caught:
        mood.do(models.set_alias, "mood", "champion", 4)
    assert caught.value.code == "version-not-found"
    with pytest.raises(NotFound) as caught:
        mood.do(models.set_alias, "none", "champion", 1)
    assert caught.value.code == "model-not-found"
    assert mood.do(models.delete_alias, "mood", "champion") is False
    with pytest.raises(NotFound):
        mood.do(models.delete_alias, "none", "champion")


def test_a_failed_move_leaves_no_trace(mood: Any) -> None:
    before = mood.do(models.get_model, "mood").revision
    with pytest.raises(NotFound):
        mood.do(models.set_alias, "mood", "champion", 4)
    assert mood.do(models.get_model, "mood").revision == before
    assert mood.do(models.aliases, "mood") == []


def test_the_snapshot_tells_serving_all_it_needs(mood: Any) -> None:
    mood.publish(mood.running(model="topic"))
    mood.do(models.set_alias, "mood", "champion", 2)
    assert mood.do(models.registry_snapshot) == {
        "mood": {"newest": 3, "aliases": {"champion": 2}, "deleted": set(), "traffic": {}},
        "topic": {"newest": 1, "aliases": {}, "deleted": set(), "traffic": {}},
    }


def test_models_are_paged_by_name(store: Any) -> None:
    for name in ("c", "a", "b"):
        store.publish(store.running(model=name))
    first, cursor = store.do(models.page_models, 2)
    second, end = store.do(models.page_models, 2, cursor)
    assert [model.name for model in first + second] == ["a", "b", "c"] and end is None
    for bad in ("x", cursors.encode("a", "b")):
        with pytest.raises(Unprocessable):
            store.do(models.page_models, 2, bad)
