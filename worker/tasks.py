"""The Celery tasks: each only rings, for what is to be done stands in SQL."""

from collections.abc import Callable

from celery import Celery

from app.queue.names import TRAIN_TASK


def register(celery: Celery, ring: Callable[[], None]) -> None:
    """Teach ``celery`` the tasks of a worker."""

    def train(job_id: str) -> None:
        """Wake a slot. The id is a hint for people reading the queue: the slot takes whatever job is next."""
        del job_id
        ring()

    celery.task(train, name=TRAIN_TASK, ignore_result=True, shared=False)
