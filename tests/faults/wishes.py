"""Wishes of clients that come at the worst moment: cancel and stop, hundreds of times, while jobs are published."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select

from app.store.tables import Job
from tests.faults.field import Field
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario

CLIENTS = 4
TOO_LATE = 8
"""Cancels of each client for a job that has ended already."""
AT_THE_END = ("exporting", "publishing")


@scenario("stop: what there is becomes the version", "P2 P12")
def stopped(field: Field) -> None:
    field.api()
    field.worker()
    job_id = field.hold(Recipe(steps=2000, hold=7, mode="stopped"))
    assert field.client.post(f"/jobs/{job_id}/stop").status_code == 202
    field.succeeded(job_id, attempt=1, crashes=0)
    assert field.job(job_id).stop_reason == "stopped"


@scenario("worker killed after it was asked to stop", "P2 P4 P6")
def stopped_and_killed(field: Field) -> None:
    field.api()
    first = field.worker()
    job_id = field.hold(Recipe(steps=2000, hold=12, mode="deaf-once"))
    assert field.client.post(f"/jobs/{job_id}/stop").status_code == 202
    first.kill()
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=1)
    assert field.job(job_id).stop_reason == "stopped"


class Storm:
    """Clients that cancel the same jobs again and again, and remember what they were told."""

    def __init__(self, field: Field, job_ids: list[str]) -> None:
        self._field = field
        self._job_ids = job_ids
        self._calm = threading.Event()
        self.asked = 0
        self.told: dict[str, set[int]] = defaultdict(set)
        self._threads = [threading.Thread(target=self._cancel) for _ in range(CLIENTS)]

    def rage(self) -> None:
        """Cancel every job, over and over as soon as it is about to be published, until all have ended."""
        for thread in self._threads:
            thread.start()
        self._field.wait(*self._job_ids)
        self._calm.set()
        for thread in self._threads:
            thread.join()

    def _cancel(self) -> None:
        left = dict.fromkeys(self._job_ids, TOO_LATE)
        while left and not self._calm.is_set():
            for job_id, ended in self._near_their_end(left):
                self.told[job_id].add(self._field.client.post(f"/jobs/{job_id}/cancel").status_code)
                self.asked += 1
                left[job_id] -= ended
            left = {job_id: count for job_id, count in left.items() if count}
            time.sleep(0.01)

    def _near_their_end(self, job_ids: Iterable[str]) -> list[tuple[str, bool]]:
        """List the jobs that are about to be published or have ended, with one look at all."""
        ended = Job.finished_at.is_not(None)
        query = select(Job.id, ended).where(Job.id.in_(job_ids), Job.phase.in_(AT_THE_END) | ended)
        with self._field.database.transaction(read_only=True) as session:
            return [(job_id, bool(over)) for job_id, over in session.execute(query)]


@scenario("hundreds of cancels that race with the publishing", "P2 P5 P9", long=True)
def cancel_storm(field: Field) -> None:
    field.api()
    job_ids = field.submit(*(Recipe(steps=3, every=100, pace=0.01) for _ in range(10)))
    waiting = field.submit(*(Recipe(steps=3) for _ in range(40)))
    for job_id in waiting:
        for _ in range(2):
            assert field.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    for _ in range(2):
        field.worker()
    storm = Storm(field, job_ids)
    storm.rage()
    field.note(f"{len(waiting) * 2 + storm.asked} cancels")
    for job in field.wait():
        assert job.status in ("succeeded", "cancelled"), job.error
        # Who is told that a job will be cancelled can rely on it, and so can who is told that it is too late.
        assert storm.told[job.id] <= ({202} if job.status == "cancelled" else {409}), job.status
        ends = [data["to"] for kind, data in field.events(job.id) if kind == "status" and data["to"] == job.status]
        assert len(ends) == 1
