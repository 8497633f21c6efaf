"""The line to the broker: what the doorbell rings over. Only a process that rings loads the broker's libraries."""

from celery import Celery
from kombu.connection import Connection

from app.queue.celery import check_versions, make_celery
from app.queue.embedded import broker_url
from app.queue.names import TRAIN_TASK
from app.settings import Settings

MAX_WAITING = 100
"""Messages in a queue beyond which ringing more wakes nobody up: workers look into SQL by themselves."""


class Line:
    """An open connection; not for several threads at once. Raises InternalError ``unsupported-library``."""

    def __init__(self, broker: Settings | str, *, timeout_seconds: float) -> None:
        check_versions()
        url = broker if isinstance(broker, str) else broker_url(broker)
        self._celery: Celery = make_celery(url, timeout_seconds=timeout_seconds)
        self._connection: Connection = self._celery.connection_for_write()

    def send(self, job_id: str, queue: str) -> bool:
        """Send one ring; False when enough wait there already. Raises what the libraries raise."""
        if self._waiting(queue) >= MAX_WAITING:
            return False
        self._celery.send_task(TRAIN_TASK, args=[job_id], queue=queue, connection=self._connection, retry=False)
        return True

    def answers(self) -> bool:
        """Say whether the broker answers a ping. Raises what the libraries raise."""
        return bool(self._connection.default_channel.client.ping())  # type: ignore[attr-defined]

    def close(self) -> None:
        """Hang up; a broken connection may fail at that, too."""
        self._connection.release()

    def _waiting(self, queue: str) -> int:
        """Count the messages that no worker has fetched yet."""
        return int(self._connection.default_channel.queue_declare(queue, passive=False).message_count)
