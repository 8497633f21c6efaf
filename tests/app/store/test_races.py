"""Many threads at once: claims, publishing, cancelling, numbering; on both databases."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.errors import Conflict, InternalError, PreconditionFailed
from app.store import idempotency, jobs, models
from app.store.claims import Claim
from app.store.tables import Job, ModelVersion

THREADS = 8


def together(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Run ``work(0..threads-1)`` from as many threads at the same moment; exceptions count as results."""
    barrier = threading.Barrier(threads)
    results: list[Any] = [None] * threads

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - judged by the test
            results[number] = error

    crowd = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(60)
    return results


def assert_gapless(store: Any, job_id: str) -> None:
    assert [event.seq for event in store.events(job_id)] == list(range(1, len(store.events(job_id)) + 1))


def test_duplicate_rings_claim_once(store: Any) -> None:
    for _ in range(5):
        job_id = store.submit()
        claims = together(lambda number, job_id=job_id: store.claim(job_id, owner=f"wrk_{number}"))
        assert sorted(type(claim).__name__ for claim in claims) == ["Claim"] + ["NoneType"] * (THREADS - 1)
        assert store.job(job_id).attempt == 1
        assert_gapless(store, job_id)


def test_workers_share_the_queue_without_taking_a_job_twice(store: Any) -> None:
    waiting = [store.submit() for _ in range(2 * THREADS)]

    def work(number: int) -> list[str]:
        taken = []
        while (claim := store.claim(owner=f"wrk_{number}")) is not None:
            taken.append(claim.job_id)
        return taken

    shares = together(work)
    assert Counter(job_id for share in shares for job_id in share) == Counter(waiting)


def test_every_expired_lease_is_taken_back_once(store: Any) -> None:
    expired = {store.running(lease=-1).job_id for _ in range(10)}
    rescued = together(lambda number: store.do(jobs.rescue_expired))
    assert Counter(job_id for share in rescued for job_id, _ in share) == Counter(expired)
    assert {store.job(job_id).crash_count for job_id in expired} == {1}


def test_every_unrung_job_is_rung_once(store: Any) -> None:
    waiting = {store.submit() for _ in range(10)}
    store.do(lambda session: session.execute(update(Job).values(rung_at=None)))
    rung = together(lambda number: store.do(jobs.due_for_ring, 5, 100))
    assert Counter(job_id for share in rung for job_id, _ in share) == Counter(waiting)


def test_events_are_numbered_without_gaps_under_concurrency(store: Any) -> None:
    claim = store.running()

    def write(number: int) -> None:
        batch = jobs.Recorded(events=[jobs.NewEvent("step", {"by": number})] * 2)
        for _ in range(5):
            assert store.database.run(lambda session: jobs.record(session, claim, batch))

    assert together(write) == [None] * THREADS
    assert_gapless(store, claim.job_id)
    assert len(store.events(claim.job_id)) == 2 + THREADS * 10


def test_a_job_is_published_once(store: Any) -> None:
    claim = store.running()
    results = together(lambda number: store.publish(claim))
    assert Counter(type(result).__name__ for result in results) == {"ModelVersion": 1, "LeaseLost": THREADS - 1}
    assert store.do(lambda session: session.scalar(select(func.count()).select_from(ModelVersion))) == 1
    assert store.moves(claim.job_id)[-1] == ("running", "succeeded")


def test_even_a_broken_fence_cannot_publish_twice(store: Any) -> None:
    claim = store.running()
    store.publish(claim)
    again = {"status": "running", "finished_at": None, "lease_until": store.job(claim.job_id).created_at}
    store.do(lambda session: session.execute(update(Job).values(**again)))
    with pytest.raises(InternalError) as caught:
        store.publish(claim)
    assert caught.value.code == "database-refused"
    assert [version.version for version in store.do(models.versions, "mood")] == [1]


def test_versions_of_one_model_are_numbered_without_gaps(store: Any) -> None:
    claims = [store.running() for _ in range(THREADS)]
    versions = together(lambda number: store.publish(claims[number]).version)
    assert sorted(versions) == list(range(1, THREADS + 1))


def test_of_cancel_and_publish_exactly_one_wins(store: Any) -> None:
    for _ in range(6):
        claim = store.running()
        published, outcome = together(
            lambda number, claim=claim: store.publish(claim) if number == 0 else store.do(jobs.cancel, claim.job_id),
            threads=2,
        )
        if outcome == "already-finished":
            assert published.job_id == claim.job_id
            assert store.status(claim.job_id) == "succeeded"
        else:
            assert outcome == "cancelling"
            assert isinstance(published, jobs.LeaseLost) and published.code == "cancel-requested"
            assert store.status(claim.job_id) == "running"
            assert store.do(jobs.cancelled, claim, "The client cancelled the job.")
        assert_gapless(store, claim.job_id)


def test_a_stop_and_publishing_meet_without_a_trace_lost(store: Any) -> None:
    for _ in range(6):
        claim = store.running()
        published, outcome = together(
            lambda number, claim=claim: store.publish(claim) if number == 0 else store.do(jobs.stop, claim.job_id),
            threads=2,
        )
        assert published.job_id == claim.job_id and outcome in ("stopping", "already-finished")
        assert store.status(claim.job_id) == "succeeded"
        told = [event.type for event in store.events(claim.job_id)]
        assert told.count("stopping") == (outcome == "stopping") and told[-1] == "status", "nothing follows the end"
        assert_gapless(store, claim.job_id)


def test_of_rescue_and_outcome_exactly_one_wins(store: Any) -> None:
    for _ in range(6):
        claim = store.running(lease=-1)
        published, rescued = together(
            lambda number, claim=claim: store.publish(claim) if number == 0 else store.do(jobs.rescue_expired),
            threads=2,
        )
        if rescued:
            assert isinstance(published, jobs.LeaseLost)
            assert store.status(claim.job_id) == "queued"
            assert store.claim(claim.job_id) == Claim(claim.job_id, 2, "wrk_1")
        else:
            assert published.attempt == 1
            assert store.status(claim.job_id) == "succeeded"


def test_of_two_conditional_moves_of_an_alias_one_wins(store: Any) -> None:
    for _ in range(3):
        store.publish(store.running())
    first = store.do(models.set_alias, "mood", "champion", 1)
    results = together(
        lambda number: store.do(models.set_alias, "mood", "champion", 2 + number, first.revision), threads=2
    )
    assert sorted(type(result).__name__ for result in results) == ["ModelAlias", "PreconditionFailed"]
    lost = next(result for result in results if isinstance(result, PreconditionFailed))
    assert lost.code == "alias-moved"


def test_equal_requests_at_once_become_one(store: Any) -> None:
    def request(number: int) -> str:
        with store.database.transaction() as session:
            job = store.submit_in(session).id
            idempotency.save(session, "k", "POST /jobs", body_sha256="x", status_code=202, headers={}, body={"id": job})
        return job

    results = together(request)
    kept = [result for result in results if isinstance(result, str)]
    assert len(kept) == 1
    assert {result.code for result in results if isinstance(result, Conflict)} == {"idempotency-key-taken"}
    assert store.do(idempotency.find, "k", "POST /jobs").body == {"id": kept[0]}
    assert store.do(jobs.counts) == {"queued": 1}, "the work of the others was rolled back with their answer"
