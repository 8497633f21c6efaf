"""Who is alive, on both databases."""

import time
from typing import Any

from app.store import jobs, workers

FACTS = {"hostname": "h", "pid": 1, "device": None, "slots": 1, "queues": ["default"]}


def test_a_worker_is_alive_while_it_is_seen(store: Any) -> None:
    store.do(workers.seen, id="wrk_2", **FACTS)
    store.do(workers.seen, id="wrk_1", **FACTS)
    first = store.do(workers.alive, 60)[0]
    time.sleep(0.005)  # SQLite's clock has milliseconds
    store.do(workers.seen, id="wrk_1", **FACTS | {"device": "cuda:0"})
    again, other = store.do(workers.alive, 60)
    assert (again.id, again.device, other.id) == ("wrk_1", "cuda:0", "wrk_2")
    assert again.started_at == first.started_at and again.last_seen_at > first.last_seen_at
    assert store.do(workers.alive, -1) == []


def test_a_worker_that_left_is_forgotten(store: Any) -> None:
    store.do(workers.seen, id="wrk_1", **FACTS)
    store.do(workers.seen, id="wrk_2", **FACTS)
    store.do(workers.gone, "wrk_1")
    assert [worker.id for worker in store.do(workers.alive, 60)] == ["wrk_2"]
    store.do(workers.purge, 60)
    assert len(store.do(workers.alive, 60)) == 1
    store.do(workers.purge, -1)
    assert store.do(workers.alive, 60) == []


def test_queues_tell_how_long_they_are_and_workers_what_they_run(store: Any) -> None:
    assert (store.do(jobs.lengths), store.do(jobs.of_workers)) == ({}, {})
    first = store.submit()
    store.submit()
    store.submit(queue="gpu")
    claim = store.running()
    since = store.job(first).created_at
    found = store.do(jobs.lengths)
    assert found["default"] == (2, 1, since) and found["gpu"][:2] == (1, 0)
    assert store.do(jobs.of_workers) == {"wrk_1": [claim.job_id]}
