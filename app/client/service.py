"""One service and everything that can be asked of it."""

import os
from types import TracebackType
from typing import Self

from app.client.aliases import AliasCalls
from app.client.batches import BatchCalls
from app.client.jobs import JobCalls
from app.client.keys import KeyCalls
from app.client.models import ModelCalls
from app.client.predictions import PredictionCalls
from app.schemas.pages import Page
from app.schemas.workers import JobQueue, Worker
from app.transport import ClientError, Transport

DEFAULT_URL = "http://127.0.0.1:8000"


class Tunesmith(JobCalls, ModelCalls, AliasCalls, PredictionCalls, BatchCalls, KeyCalls):
    """One service, at ``url`` (or TUNESMITH_URL), with ``api_key`` (or TUNESMITH_API_KEY) where it wants one.

    Raises Misconfigured for an address or a key that cannot be sent. Every method raises ApiError when the service
    refuses, and Unreachable when it does not answer. What is safe to repeat is repeated for ``retry_seconds`` when the
    service is busy or the connection breaks; creating is safe too, because every POST carries an Idempotency-Key.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 20.0,
    ) -> None:
        self.url = (url or os.environ.get("TUNESMITH_URL") or DEFAULT_URL).rstrip("/")
        self._transport = Transport(
            self.url,
            api_key or os.environ.get("TUNESMITH_API_KEY") or None,
            timeout=timeout,
            retry_seconds=retry_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def has_key(self) -> bool:
        """Say whether requests carry a key."""
        return self._transport.has_key

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def ready(self) -> bool:
        """Say whether the service takes requests now, without waiting for it."""
        try:
            with self._transport.stream("/readyz", headers={}, timeout=5.0) as response:
                return response.is_success
        except ClientError:
            return False

    def workers(self) -> list[Worker]:
        """Get the workers that are connected."""
        return self._get(Page[Worker], "/workers").data

    def queues(self) -> list[JobQueue]:
        """Get the queues with what waits and runs in them."""
        return self._get(Page[JobQueue], "/queues").data
