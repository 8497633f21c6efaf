"""The life of a batch prediction, on both databases."""

from typing import Any

import pytest
from sqlalchemy import update

from app.schemas.batches import BatchOptions
from app.store import batches, datasets, models, tables
from app.store.engine import now_plus
from app.store.errands import MOST_LOSSES, ErrandClaim
from app.store.tables import BatchChunk, BatchPrediction

ERROR = {"code": "damaged-dataset", "category": "data", "detail": "The texts are gone.", "remedy": "Send them again."}


@pytest.fixture
def submit(store: Any) -> Any:
    """Queue a batch of ten rows for the one version there is."""
    version = store.publish(store.running())

    def submit(dataset_id: str | None = None) -> str:
        batch_id = batches.new_batch_id()
        texts = batches.Texts("batches/x/rows.jsonl", "0" * 64, 10, dataset_id)
        store.do(batches.submit, batch_id, BatchOptions(model="mood@champion", top_k=2), version, texts)
        return batch_id

    return submit


def claim(store: Any, lease: float = 60.0) -> ErrandClaim | None:
    taken: ErrandClaim | None = store.do(batches.claim_next, owner="wrk_1", lease_seconds=lease)
    return taken


def commit(store: Any, held: ErrandClaim, number: int, rows: int, name: str = "a") -> bool:
    def write(session: Any) -> bool:
        chunk = BatchChunk(
            batch_id=held.id,
            number=number,
            attempt=held.attempt,
            rows=rows,
            bytes=3_000_000_000,
            sha256="0" * 64,
            artifact_key=f"batches/{held.id}/{held.attempt}/{name}",
        )
        return batches.commit_chunk(session, held, chunk, rows_per_second=5.0)

    return bool(store.do(write))


def read(store: Any, batch_id: str) -> tables.BatchPrediction:
    row = store.do(batches.get, batch_id)
    assert row is not None
    return row


def let_expire(store: Any) -> None:
    expired = update(BatchPrediction).where(BatchPrediction.status == "running").values(lease_until=now_plus(-1))
    store.do(lambda session: session.execute(expired))


def moves(store: Any, batch_id: str) -> list[tuple[str | None, str]]:
    events = store.do(batches.events_after, batch_id, 0, 1000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.data["from"], event.data["to"]) for event in events if event.type == "status"]


def test_a_batch_from_queue_to_end(store: Any, submit: Any) -> None:
    first, second = submit(), submit()
    held = claim(store)
    assert held is not None and held.id == first
    row = read(store, first)
    assert (row.model_name, row.version, row.columns["labels"]) == ("mood", 1, ["a", "b"])
    assert commit(store, held, 0, 6)
    assert not store.do(batches.succeed, held)  # four rows are missing
    assert commit(store, held, 1, 4)
    assert commit(store, held, 1, 4)  # the answer to the first try was lost
    assert read(store, first).rows_done == 10
    assert store.do(batches.succeed, held)
    assert [chunk.rows for chunk in store.do(batches.chunks, first)] == [6, 4]
    assert moves(store, first) == [(None, "queued"), ("queued", "running"), ("running", "succeeded")]
    taken = claim(store)
    assert taken is not None and taken.id == second
    assert claim(store) is None


def test_a_fallen_claim_writes_nothing(store: Any, submit: Any) -> None:
    batch_id = submit()
    old = claim(store)
    assert old is not None and commit(store, old, 0, 3)
    let_expire(store)
    new = claim(store)
    assert new == ErrandClaim(batch_id, 2)
    assert not commit(store, old, 1, 3, "b")
    assert not store.do(batches.beat, old, lease_seconds=60.0).held
    for verb in (batches.succeed, lambda *a: batches.fail(*a, ERROR), lambda *a: batches.release(*a, "reason")):
        assert not store.do(verb, old)
    assert commit(store, new, 1, 3)
    assert read(store, batch_id).rows_done == 6
    assert moves(store, batch_id)[-2:] == [("running", "queued"), ("queued", "running")]


def test_losing_workers_without_getting_on_ends_a_batch(store: Any, submit: Any) -> None:
    batch_id = submit()
    for attempt in range(MOST_LOSSES):
        held = claim(store)
        assert held is not None and held.attempt == attempt + 1
        assert read(store, batch_id).lost_count == attempt
        if attempt == 0:
            assert commit(store, held, 0, 1)
        let_expire(store)
    assert claim(store) is None
    row = read(store, batch_id)
    assert (row.status, row.error["code"]) == ("failed", "worker-lost-limit")


def test_broken_attempts_count_and_a_chunk_forgives_them(store: Any, submit: Any) -> None:
    batch_id = submit()
    for number in range(2 * MOST_LOSSES):
        held = claim(store)
        assert held is not None and commit(store, held, number, 1)
        assert store.do(batches.release, held, "It broke.", lost=True)
        assert read(store, batch_id).lost_count == 1
    for losses in range(2, MOST_LOSSES + 1):
        assert store.do(batches.release, claim(store), "It broke.", lost=True)
        assert read(store, batch_id).lost_count == losses
    assert read(store, batch_id).status == "failed"


def test_cancelling(store: Any, submit: Any) -> None:
    waiting, running, silent = submit(), submit(), submit()
    assert store.do(batches.cancel, waiting) == "cancelled"
    assert store.do(batches.cancel, waiting) == "cancelled"
    held = claim(store)
    assert held is not None and held.id == running
    assert store.do(batches.cancel, running) == store.do(batches.cancel, running) == "cancelling"
    assert store.do(batches.beat, held, lease_seconds=60.0).cancel_requested
    assert store.do(batches.release, held, "The client wants it no more.")
    assert read(store, running).status == "cancelled"
    assert claim(store) is not None
    store.do(batches.cancel, silent)
    let_expire(store)
    assert claim(store) is None
    assert read(store, silent).status == "cancelled"
    assert store.do(batches.cancel, "bat_none") is None


def test_what_a_batch_reads_is_kept_until_it_has_ended(store: Any, submit: Any, new_dataset: Any) -> None:
    store.do(datasets.insert, new_dataset("ds_2"))
    batch_id = submit("ds_2")
    assert store.do(datasets.in_use, "ds_2")
    assert not store.do(batches.delete, batch_id)
    held = claim(store)
    assert store.do(batches.fail, held, ERROR)
    assert not store.do(datasets.in_use, "ds_2")
    assert store.do(datasets.delete, "ds_2")
    assert read(store, batch_id).dataset_id is None
    assert store.do(batches.delete, batch_id)
    assert store.do(batches.get, batch_id) is None
    assert store.do(models.resolve, "mood") is not None
