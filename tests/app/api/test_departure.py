"""Callers who leave: what is done for them ends, and nothing else does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api import departure
from app.api.departure import unless_gone


class Line:
    """The line to a client."""

    def __init__(self) -> None:
        self.listened = False
        self.gone = asyncio.Event()
        scope = {"type": "http", "headers": []}
        self.request = Request(scope, self._receive)

    async def _receive(self) -> Message:
        self.listened = True
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def soon() -> str:
    await asyncio.sleep(0)
    return "answer"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SOON", 0.001)


def run(test: Callable[[Line], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(10):
            await test(Line())
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody listens any more"

    asyncio.run(whole())


def test_what_is_done_soon_is_not_watched_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SOON", 5.0)

    async def test(line: Line) -> None:
        assert await unless_gone(line.request, soon()) == "answer"
        assert not line.listened

    run(test)


def test_work_ends_when_the_caller_leaves_also_before_anyone_listened() -> None:
    for leaves_first in (True, False):

        async def test(line: Line, *, first: bool = leaves_first) -> None:
            if first:
                line.gone.set()
            else:
                asyncio.get_running_loop().call_later(0.02, line.gone.set)
            work = asyncio.ensure_future(asyncio.sleep(60))
            with pytest.raises(ClientDisconnect):
                await unless_gone(line.request, work)
            assert work.cancelled()
            task = asyncio.current_task()
            assert task is not None and not task.cancelling()
            await asyncio.sleep(0)

        run(test)


def test_work_outlasts_the_listening() -> None:
    async def test(line: Line) -> None:
        assert await unless_gone(line.request, asyncio.sleep(0.03, "late")) == "late"
        assert line.listened
        line.gone.set()
        await asyncio.sleep(0.01)

    run(test)


def test_who_is_cancelled_by_others_is_cancelled() -> None:
    async def test(line: Line) -> None:
        asked = asyncio.ensure_future(unless_gone(line.request, asyncio.sleep(60)))
        await asyncio.sleep(0.02)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.sleep(0)

    run(test)
