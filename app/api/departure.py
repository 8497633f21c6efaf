"""Callers who leave before they are answered: what is done for them ends."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

T = TypeVar("T")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Do what a request asks for, whose body has been read; cancel it, wherever it waits, when the client has left.

    Raises ClientDisconnect then.
    """
    task = asyncio.current_task()
    watcher = asyncio.ensure_future(_departure(request.receive))
    is_working = True

    def cancel(_: "asyncio.Future[None]") -> None:
        if is_working and task is not None and not watcher.cancelled():
            task.cancel()

    watcher.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        if task is not None and watcher.done() and not watcher.cancelled() and not task.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        is_working = False
        watcher.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
