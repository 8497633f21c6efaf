"""Deleting versions on both databases: never one in use, and no number twice."""

from typing import Any

import pytest

from app.errors import Conflict, NotFound
from app.schemas.batches import BatchOptions
from app.store import batches, jobs, models, retention
from app.store.promotions import Note


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has versions 1 to 4."""
    for _ in range(4):
        store.publish(store.running())
    return store


def numbers(store: Any) -> list[int]:
    return [version.version for version in store.do(models.versions, "mood")]


def test_a_deleted_version_is_gone_and_its_number_never_comes_back(mood: Any) -> None:
    prefix = mood.do(models.get_version, "mood", 4).artifact_prefix
    mood.do(retention.delete_version, "mood", 4)
    mood.do(retention.delete_version, "mood", 2)
    assert numbers(mood) == [3, 1]
    assert mood.do(models.registry_snapshot) == {"mood": {"newest": 3, "aliases": {}, "deleted": {2}, "traffic": {}}}
    assert mood.publish(mood.running()).version == 5
    assert prefix in {row.prefix for row in mood.do(retention.discarded, 0.0)}
    assert mood.do(retention.discarded, 60.0) == [], "not before the grace is over"
    mood.do(retention.forget, prefix)
    assert prefix not in mood.do(retention.prefixes)
    with pytest.raises(NotFound):
        mood.do(retention.delete_version, "mood", 2)


def test_a_model_without_versions_is_not_listed_but_counts_on(mood: Any) -> None:
    for number in (1, 2, 3, 4):
        mood.do(retention.delete_version, "mood", number)
    assert mood.do(models.page_models, 10) == ([], None)
    assert mood.do(models.registry_snapshot) == {}
    assert mood.publish(mood.running()).version == 5


def test_what_an_alias_names_stays(mood: Any) -> None:
    mood.do(models.set_alias, "mood", "champion", 1)
    with pytest.raises(Conflict) as caught:
        mood.do(retention.delete_version, "mood", 1)
    assert (caught.value.code, caught.value.extra["uses"]) == ("in-use", ["the alias champion names it"])
    mood.do(models.delete_alias, "mood", "champion")
    mood.do(retention.delete_version, "mood", 1)
    assert numbers(mood) == [4, 3, 2]


def test_what_an_unfinished_batch_is_answered_by_stays(mood: Any) -> None:
    batch_id = batches.new_batch_id()
    texts = batches.Texts("batches/x/rows.jsonl", "0" * 64, 10)
    version = mood.do(models.get_version, "mood", 2)
    mood.do(batches.submit, batch_id, BatchOptions(model="mood:2"), version, texts)
    with pytest.raises(Conflict) as caught:
        mood.do(retention.delete_version, "mood", 2)
    assert caught.value.extra["uses"] == [f"batch {batch_id} is answered by it"]
    mood.do(batches.cancel, batch_id)
    mood.do(retention.delete_version, "mood", 2)
    assert numbers(mood) == [4, 3, 1]


@pytest.mark.parametrize("how", ["starts from it", "learns from it"])
def test_what_an_unfinished_job_starts_from_stays(mood: Any, how: str) -> None:
    job_id = mood.submit()

    def start(session: Any) -> None:
        job = jobs.get(session, job_id)
        if how == "starts from it":
            job.base_model = {"id": "model:mood", "source": "version", "revision": "2"}
        else:
            teacher = {"distillation": {"teacher": "model:mood@champion", "revision": "2"}}
            job.request = job.request | {"hyperparameters": teacher}

    mood.do(start)
    with pytest.raises(Conflict, match=f"job {job_id} {how}"):
        mood.do(retention.delete_version, "mood", 2)
    assert mood.do(retention.prune, "mood", 1, dry_run=False).kept == {2: f"job {job_id} {how}"}
    mood.do(jobs.cancel, job_id)
    mood.do(retention.delete_version, "mood", 2)
    assert numbers(mood) == [4]


def test_prune_keeps_the_newest_and_the_needed(mood: Any) -> None:
    for number in (1, 3, 2):
        mood.do(models.set_alias, "mood", "champion", number)
    mood.do(models.set_alias, "mood", "champion", 3, None, Note(kind="rollback"))  # and would go on to 1
    mood.publish(mood.running())
    asked = mood.do(retention.prune, "mood", 1, dry_run=True)
    assert [number for number, _ in asked.deleted] == [4, 2]
    assert asked.kept == {3: "the alias champion names it", 1: "the alias champion would roll back to it"}
    assert numbers(mood) == [5, 4, 3, 2, 1]
    assert mood.do(retention.prune, "mood", 1, dry_run=False) == asked
    assert numbers(mood) == [5, 3, 1]
    assert mood.do(retention.prune, "mood", 3, dry_run=False).deleted == []
