"""Waiting for something to end: what ``Prefer: wait=N`` asks for."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

POLL_SECONDS = 0.25

T = TypeVar("T")


async def wait_for(read: Callable[[], T], has_ended: Callable[[T], bool], seconds: float) -> T:
    """Read until it has ended or the time is over, and give what was read last; no thread waits meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        found = await run_in_threadpool(read)
        left = deadline - time.monotonic()
        if has_ended(found) or left <= 0:
            return found
        await asyncio.sleep(min(POLL_SECONDS, left))
