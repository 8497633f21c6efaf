"""Callers who leave before they are answered: what is done for them ends."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

T = TypeVar("T")

SOON = 0.05
"""Seconds within which most work is done, sooner than anyone leaves: only what takes longer is watched over."""


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Do what a request asks for, whose body has been read; cancel it, wherever it waits, when the client has left.

    Raises ClientDisconnect then.
    """
    watch = _Watch(request.receive)
    timer = asyncio.get_running_loop().call_later(SOON, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.has_cancelled():
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """Cancels the task that made it when the client leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._departure: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Listen from now on."""
        self._departure = asyncio.ensure_future(_departure(self._receive))
        self._departure.add_done_callback(self._cancel)

    def has_cancelled(self) -> bool:
        """Say whether it was the client's leaving, and nothing else, that cancelled the task."""
        departed = self._departure is not None and self._departure.done() and not self._departure.cancelled()
        return departed and self._task is not None and not self._task.uncancel()

    def end(self) -> None:
        """Listen no more."""
        self._task = None
        if self._departure is not None:
            self._departure.cancel()

    def _cancel(self, departure: "asyncio.Future[None]") -> None:
        if self._task is not None and not departure.cancelled():
            self._task.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
