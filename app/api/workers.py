"""Workers and queues over HTTP: who is there, what they do, and what waits for them."""

from typing import get_args

from fastapi import APIRouter

from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.schemas.jobs import Queue
from app.schemas.pages import Page
from app.schemas.workers import JobQueue, Worker
from app.store import jobs, workers

router = APIRouter(tags=["Service"], route_class=StrictRoute)


@router.get("/workers", summary="List workers", response_description="The workers that are connected, by id.")
def list_workers(services: ServicesDep) -> Page[Worker]:
    """List who would take a job, or is running some: every worker that gave a sign of life lately."""
    with services.database.transaction(read_only=True) as session:
        busy = jobs.of_workers(session)
        crew = workers.alive(session, services.silence_seconds)
        data = [
            Worker(
                id=worker.id,
                hostname=worker.hostname,
                pid=worker.pid,
                device=worker.device,
                slots=worker.slots,
                devices=worker.devices,
                queues=worker.queues,
                jobs=busy.get(worker.id, []),
                started_at=worker.started_at,
                last_seen_at=worker.last_seen_at,
            )
            for worker in crew
        ]
    return Page(data=data, has_more=False)


@router.get("/queues", summary="List queues", response_description="Every queue that a job may name.")
def list_queues(services: ServicesDep) -> Page[JobQueue]:
    """Tell how many jobs wait and run in each queue, since when, and how many workers take them."""
    with services.database.transaction(read_only=True) as session:
        lengths = jobs.lengths(session)
        crew = workers.alive(session, services.silence_seconds)
        data = []
        for name in get_args(Queue):
            queued, running, since = lengths.get(name, (0, 0, None))
            there = [worker for worker in crew if name in worker.queues]
            slots = sum(worker.slots for worker in there)
            data.append(
                JobQueue(
                    name=name, queued=queued, running=running, waiting_since=since, workers=len(there), slots=slots
                )
            )
    return Page(data=data, has_more=False)
