"""The Celery application: it carries doorbells, never results; SQL alone decides what a job does."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from app.errors import InternalError
from app.queue.names import DEFAULT_QUEUE, KEY_PREFIX, QUEUES

# From, and up to but without. Outside of these, workers were seen to go deaf after a lost connection.
SUPPORTED = {"celery": ((5, 7), (5, 8)), "kombu": ((5, 7), (5, 8)), "redis": ((6, 4), (9,))}

TRANSPORT: dict[str, Any] = {
    "socket_connect_timeout": 2,  # a broker that is away is no reason to wait: workers poll
    "socket_keepalive": True,  # firewalls forget a connection that says nothing between two rings
    "health_check_interval": 10,  # drops a half-open listening connection
    "visibility_timeout": 600,  # a ring that nobody acknowledged rings again so late: by then it wakes nobody
    "global_keyprefix": KEY_PREFIX,  # what an ACL can be limited to
    "client_name": "tunesmith",  # so that CLIENT LIST shows whose connections there are
}

SETTINGS: dict[str, Any] = {
    # SQL holds results: no second truth, no stored exceptions to revive.
    "result_backend": None,
    "task_ignore_result": True,
    # Only JSON: whoever can write to the broker must not be able to run code here.
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # A message is a doorbell: acknowledged late it would only ring again and again while the job runs.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": False,
    # Threads: no fork after CUDA, and the main loop stays awake; each training has a process of its own anyway.
    "worker_pool": "threads",
    "worker_concurrency": 1,
    # One ring at a time: the others are left for workers that are idle.
    "worker_prefetch_multiplier": 1,
    # A broker that blinks must not end a training. Celery 6 turns the default round.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # A worker outlives any absence of the broker: it polls SQL meanwhile.
    "broker_connection_retry_on_startup": True,
    "broker_connection_retry": True,
    "broker_connection_max_retries": None,
    # A process has one line that rings and one that listens, and none of them may wait for long.
    "broker_connection_timeout": 2,
    "broker_pool_limit": 4,
    # Best effort: a lost ring is rung again by the reconciler.
    "task_publish_retry": False,
    # Whoever can write to the broker must not be able to stop workers; a cancel goes through SQL.
    "worker_enable_remote_control": False,
    # Nobody listens, and the pub/sub connection is where reconnecting fails.
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # Queue names come from here, not from messages.
    "task_create_missing_queues": False,
    "task_default_queue": DEFAULT_QUEUE,
    # Cold shutdown of threads is ours: signals only set a flag, the attempt drains by itself.
    "worker_soft_shutdown_timeout": 0,
    # Threads cannot be ended from outside; the worker itself watches each training.
    "task_time_limit": None,
    # The process has its own structured logs.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "enable_utc": True,
    "timezone": "UTC",
}


def make_celery(broker_url: str, queues: Sequence[str] = QUEUES, *, timeout_seconds: float = 5.0) -> Celery:
    """Make the application for a broker, with all settings; it connects to nothing yet.

    ``timeout_seconds`` is how long one answer of the broker may take.
    """
    app = Celery("tunesmith", broker=broker_url, set_as_current=False)
    app.conf.update(SETTINGS)
    # Without a timeout, a frozen broker holds a publisher for ever.
    app.conf.broker_transport_options = TRANSPORT | {"socket_timeout": timeout_seconds}
    app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in queues]
    return app


def check_versions() -> None:
    """Refuse to start on library versions that lose messages; raises InternalError ``unsupported-library``."""
    for name, (first, beyond) in SUPPORTED.items():
        installed = version(name)
        if not first <= _numbers(installed) < beyond:
            wanted = f"{name}>={_dotted(first)},<{_dotted(beyond)}"
            raise InternalError(
                f"{name} {installed} is installed; {wanted} is needed.",
                "unsupported-library",
                f"Run pip install '{wanted}'.",
            )


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
