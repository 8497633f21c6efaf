"""Who trains, and what waits for them."""

from datetime import datetime

from app.schemas.base import Resource
from app.schemas.jobs import Queue


class Worker(Resource):
    """One worker that is connected."""

    id: str
    """Its id; a restarted worker has a new one."""
    hostname: str
    """The machine it runs on."""
    pid: int
    """Its process there."""
    device: str | None
    """What it computes on; null: not known."""
    slots: int
    """Jobs it runs at once."""
    devices: int | None
    """Most ``devices`` that a job may ask for there: its GPUs, or without any its processor cores; null: not known."""
    queues: list[str]
    """The queues it takes jobs from."""
    jobs: list[str]
    """Ids of the jobs it is running."""
    started_at: datetime
    """When it was first seen."""
    last_seen_at: datetime
    """When it last gave a sign of life."""


class JobQueue(Resource):
    """One queue of jobs."""

    name: Queue
    """Its name, the ``queue`` of a job."""
    queued: int
    """Jobs that wait."""
    running: int
    """Jobs that run."""
    waiting_since: datetime | None
    """When the job that has waited longest was accepted; null: none waits."""
    workers: int
    """Connected workers that take its jobs."""
    slots: int
    """Jobs that these run at once, of whatever queue."""
