"""Asks whether the broker answers, for the health page only: nothing else waits for it."""

from contextlib import suppress

from app.queue.celery import make_celery
from app.queue.embedded import broker_url
from app.settings import Settings

TIMEOUT_SECONDS = 0.5


def answers(settings: Settings) -> bool:
    """Say whether the broker answers a ping within half a second; never raises."""
    with suppress(Exception):  # client libraries raise dozens of classes, and all of them mean no
        celery = make_celery(broker_url(settings), timeout_seconds=TIMEOUT_SECONDS)
        with celery.connection_for_write() as connection:
            return bool(connection.default_channel.client.ping())
    return False
