"""Word of mouth: a process that changes the registry tells the others over the broker, so that they look at once.

It is a hint and no more: it says that something has changed, not what. Where it is lost, or where there is no broker,
the others see the change when they next look by themselves.
"""

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress

from app.logging import get_logger
from app.queue.address import EMBEDDED, INFO_FILE, Address
from app.queue.names import KEY_PREFIX
from app.queue.wire import Place, Refused, Reply, Wire, place_of
from app.settings import Settings
from app.telemetry import REGISTRY_HINTS

CHANNEL = f"{KEY_PREFIX}registry"
ANSWER_SECONDS = 2.0
"""How long the broker may take for anything that it is asked."""
SILENCE_SECONDS = 15.0
"""After so long without a word the broker is asked whether it is there: a connection can die without a sound."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0

log = get_logger(__name__)


class Word:
    """Spreads and hears the word of one process; used from one event loop, ``spread`` from any thread."""

    def __init__(self, settings: Settings, heard: Callable[[], None]) -> None:
        self._settings = settings
        self._heard = heard
        self._me = secrets.token_hex(8)
        """So that this process does not follow its own word, which it has known before."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsaid = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.listens = False
        """Whether the broker would tell at this moment."""

    def start(self) -> None:
        """Begin to listen; a broker that is away is waited for, and one of another kind never asked."""
        if self._settings.broker_url != EMBEDDED and place_of(self._settings.broker_url) is None:
            return
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._say())]

    async def close(self) -> None:
        """Listen no more; a word that waits to be said is said within the time that the broker may take."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._unsaid.is_set():
            await self._say_now()

    def spread(self) -> None:
        """Tell the others that the registry has changed, soon; returns at once and never raises."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it closed just now
                loop.call_soon_threadsafe(self._unsaid.set)

    async def _say(self) -> None:
        """Say it once for all who wanted it said meanwhile."""
        while True:
            await self._unsaid.wait()
            self._unsaid.clear()
            await self._say_now()

    async def _say_now(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                wire = await Wire.open(self._place())
                try:
                    await wire.ask("PUBLISH", CHANNEL, self._me)
                finally:
                    wire.close()
        except (OSError, TimeoutError) as error:
            REGISTRY_HINTS.labels(outcome="unsent").inc()
            log.info("The others were not told of a change, they will see it by themselves", error=_why(error))
        else:
            REGISTRY_HINTS.labels(outcome="sent").inc()

    async def _listen(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while True:
            try:
                await self._listen_once()
            except (OSError, TimeoutError) as error:
                if self.listens:
                    log.info("The broker tells of no changes any more, polling goes on", error=_why(error))
            pause = SHORTEST_PAUSE_SECONDS if self.listens else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self.listens = False
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load

    async def _listen_once(self) -> None:
        """Listen until the connection breaks. Raises OSError, TimeoutError."""
        async with asyncio.timeout(ANSWER_SECONDS):
            wire = await Wire.open(self._place())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await wire.ask("SUBSCRIBE", CHANNEL)
            self.listens = True
            self._heard()  # what was said before somebody listened
            while True:
                self._take(await _next(wire))
        finally:
            wire.close()

    def _take(self, reply: Reply) -> None:
        match reply:
            case [b"message", bytes(), bytes(who)] if who != self._me.encode():
                REGISTRY_HINTS.labels(outcome="heard").inc()
                self._heard()

    def _place(self) -> Place:
        """Find the broker. Raises Refused where there is none now."""
        url = self._settings.broker_url
        if url == EMBEDDED:
            address = Address.read(self._settings.data_dir / INFO_FILE)
            url = "" if address is None else address.url
        place = place_of(url)
        if place is None:
            raise Refused("no broker is running")
        return place


async def _next(wire: Wire) -> Reply:
    """Wait for the next message, and ask whether anybody is there when none has come for long."""
    reading = asyncio.ensure_future(wire.read())
    try:
        done, _ = await asyncio.wait([reading], timeout=SILENCE_SECONDS)
        if not done:
            await wire.send("PING")
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.shield(reading)
        return await reading
    finally:
        reading.cancel()


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
