"""Histories as Server-Sent Events: what has happened, then what happens, until it has ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

STREAM = "text/event-stream"
STREAM_POLL_SECONDS = 0.3
KEEP_ALIVE_SECONDS = 15.0
BATCH = 500
_ENDINGS = frozenset({"succeeded", "failed", "cancelled"})


class Told(Protocol):
    """One event of a history."""

    seq: int
    type: str
    data: dict[str, Any]

    def model_dump_json(self) -> str:
        """Write it as JSON."""


Read = Callable[[int, int], tuple[Sequence[Told], bool]]
"""Gives events behind a number, at most so many, and whether what they tell of has ended, as of one moment."""


def wants_stream(request: Request) -> bool:
    """Say whether the client asked for a stream."""
    return STREAM in request.headers.get("accept", "")


async def stream(read: Read, after: int, last_event_id: str | None) -> Response:
    """Answer with a stream behind ``after``, or behind what EventSource has seen; 204 when nothing will come."""
    start = int(last_event_id) if last_event_id and last_event_id.isdecimal() else after
    batch, finished = await run_in_threadpool(read, start, BATCH)
    if finished and not batch:
        return Response(status_code=204)
    return StreamingResponse(_lines(read, start, batch), media_type=STREAM, headers={"X-Accel-Buffering": "no"})


async def _lines(read: Read, after: int, batch: Sequence[Told]) -> AsyncIterator[str]:
    """Write events as they come; a comment now and then keeps proxies from closing the connection."""
    yield "retry: 2000\n\n"
    spoke = time.monotonic()
    finished = False
    while True:
        for event in batch:
            yield f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
            after, spoke = event.seq, time.monotonic()
            if _is_last(event):
                return
        if finished and not batch:
            return
        if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            spoke = time.monotonic()
        if len(batch) < BATCH:
            await asyncio.sleep(STREAM_POLL_SECONDS)
        batch, finished = await run_in_threadpool(read, after, BATCH)


def _is_last(event: Told) -> bool:
    return event.type == "status" and event.data.get("to") in _ENDINGS
