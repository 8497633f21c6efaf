"""Queues and their order: a worker takes what it is for, and nobody waits for ever."""

import time
from datetime import timedelta

from sqlalchemy.orm import Session

from app.store import tables
from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario


def for_queue(queue: str, priority: int = 0) -> Recipe:
    """Train a few steps on a certain kind of worker."""
    return Recipe(steps=4, wishes={"queue": queue, "priority": priority})


@scenario("a worker for the CPU never takes a job for the GPU", "P1 P2")
def kinds(field: Field) -> None:
    field.api()
    processor = field.worker(queues=("default", "cpu"))
    waiting = field.submit(for_queue("gpu"), for_queue("gpu"))
    for job in field.wait(*field.submit(for_queue("cpu"), for_queue("default"))):
        assert (job.status, job.attempt) == ("succeeded", 1)
    time.sleep(2.0 * slowness())  # more than one poll and one sweep
    assert {(field.job(job_id).status, field.job(job_id).attempt) for job_id in waiting} == {("queued", 0)}
    field.worker(queues=("gpu",))
    for job in field.wait(*waiting):
        assert (job.status, job.attempt) == ("succeeded", 1)
    assert processor.alive


@scenario("priorities: the urgent first, but nobody waits for ever", "P1")
def ageing(field: Field) -> None:
    field.api()
    running = field.submit(Recipe(hold=2, steps=4))[0]
    field.worker()
    field.until_job(running, lambda job: job.progress.get("step") == 2)
    patient, urgent, most_urgent = field.submit(for_queue("default"), for_queue("default", 5), for_queue("default", 50))
    grow_older(field, patient, minutes=10)
    places = [field.client.get(f"/jobs/{job_id}").json()["queue_position"] for job_id in (patient, urgent, most_urgent)]
    assert places == [1, 2, 0], places
    field.release(running)
    ended = {job.id: job for job in field.wait()}
    order = sorted((patient, urgent, most_urgent), key=lambda job_id: str(ended[job_id].started_at))
    assert order == [most_urgent, patient, urgent]


def grow_older(field: Field, job_id: str, *, minutes: float) -> None:
    """Let a job have waited for longer than this campaign can."""

    def shift(session: Session) -> None:
        job = session.get_one(tables.Job, job_id)
        assert job.turn_at is not None
        job.turn_at -= timedelta(minutes=minutes)

    field.database.run(shift)
