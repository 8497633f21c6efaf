"""Datasets on both databases: pages, use and deletion."""

from typing import Any

import pytest

from app.errors import Conflict, NotFound, Unavailable
from app.store import datasets, jobs


def test_a_dataset_is_kept_as_it_came(store: Any, new_dataset: Any) -> None:
    store.do(datasets.insert, new_dataset("ds_2"))
    dataset = store.do(datasets.get, "ds_2")
    assert (dataset.bytes, dataset.labels, dataset.counts) == (3_000_000_000, ["a", "b"], {"train": 3})
    assert dataset.created_at >= store.dataset.created_at
    assert store.do(datasets.get, "ds_x") is None


def test_datasets_are_paged_newest_first(store: Any, new_dataset: Any) -> None:
    for number in range(2, 6):
        store.do(datasets.insert, new_dataset(f"ds_{number}"))
    first, cursor = store.do(datasets.page, 3)
    second, end = store.do(datasets.page, 3, cursor)
    assert [dataset.id for dataset in first + second] == ["ds_5", "ds_4", "ds_3", "ds_2", "ds_1"] and end is None


def test_only_an_unused_dataset_is_deleted(store: Any, new_dataset: Any) -> None:
    store.submit()
    store.do(datasets.insert, new_dataset("ds_2"))
    assert store.do(datasets.in_use, "ds_1") and not store.do(datasets.in_use, "ds_2")
    with pytest.raises(Conflict) as caught:
        store.do(datasets.delete, "ds_1")
    assert caught.value.code == "dataset-in-use"
    assert [store.do(datasets.delete, "ds_2") for _ in range(2)] == [True, False]
    assert store.do(datasets.get, "ds_1") is not None and store.do(datasets.get, "ds_2") is None


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_deleting_waits_for_a_job_that_is_being_submitted(store: Any) -> None:
    with store.database.transaction() as session:
        store.submit_in(session)
        with pytest.raises(Unavailable):  # it waits for the row for two seconds
            store.do(datasets.delete, "ds_1")
    with pytest.raises(Conflict):
        store.do(datasets.delete, "ds_1")


def several(*dataset_ids: str) -> dict[str, Any]:
    return {"type": "multitask", "tasks": {f"t{n}": {"dataset_id": each} for n, each in enumerate(dataset_ids)}}


def test_the_datasets_of_all_tasks_are_kept(store: Any, new_dataset: Any) -> None:
    store.do(datasets.insert, new_dataset("ds_2"))
    store.do(datasets.insert, new_dataset("ds_3"))
    job_id = store.submit(family=several("ds_2"))
    store.submit()
    assert [store.do(datasets.in_use, f"ds_{number}") for number in (1, 2, 3)] == [True, True, False]
    with pytest.raises(Conflict) as caught:
        store.do(datasets.delete, "ds_2")
    assert caught.value.code == "dataset-in-use"
    assert [job.id for job in store.do(jobs.page, limit=9, dataset_id="ds_2")[0]] == [job_id]
    assert len(store.do(jobs.page, limit=9, dataset_id="ds_1")[0]) == 2
    assert store.do(datasets.delete, "ds_3")
    with pytest.raises(NotFound) as missing:
        store.submit(family=several("ds_2", "ds_3"))
    assert missing.value.code == "dataset-not-found"


def test_a_job_cannot_outlive_its_dataset(store: Any) -> None:
    assert store.do(datasets.delete, "ds_1")
    with pytest.raises(NotFound):
        store.submit()
