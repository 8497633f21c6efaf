"""Word of mouth between processes, over a real Valkey: heard by the others, and in nobody's way when it is away."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.queue.address import Address
from app.queue.embedded import EmbeddedBroker
from app.queue.wire import Place, place_of
from app.queue.word import Word
from app.settings import Settings


class Ear:
    """Counts what one process has heard."""

    def __init__(self, settings: Settings) -> None:
        self.heard = 0
        self.word = Word(settings, self.hear)

    def hear(self) -> None:
        self.heard += 1


@asynccontextmanager
async def ears(count: int, settings: Settings) -> AsyncIterator[list[Ear]]:
    """Let some processes listen for a while."""
    made = [Ear(settings) for _ in range(count)]
    for ear in made:
        ear.word.start()
    try:
        yield made
    finally:
        for ear in made:
            await ear.word.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


def settings_of(data_dir: Path) -> Settings:
    return Settings(_env_file=None, data_dir=data_dir, log_level="ERROR")


def test_the_others_hear_of_a_change_and_hear_again_after_the_broker_was_away(valkey: EmbeddedBroker) -> None:
    data_dir = Path(urlsplit(valkey.url).path).parents[1]
    assert Address.read(data_dir / "broker.json") is not None

    async def scenario() -> None:
        async with ears(3, settings_of(data_dir)) as (one, other, third):
            await until(lambda: all(ear.word.listens for ear in (one, other, third)))
            before = one.heard
            await asyncio.to_thread(one.word.spread)
            await until(lambda: other.heard == third.heard == 2)
            assert one.heard == before, "who says it has known it before"
            assert valkey.pid is not None
            os.kill(valkey.pid, signal.SIGKILL)  # its owner starts it again
            await until(lambda: not other.word.listens)
            one.word.spread()  # whether this comes through or not, nobody waits and nothing breaks
            await until(lambda: one.word.listens and other.word.listens)
            assert other.heard >= 3, "something may have been said meanwhile"
            so_far = other.heard
            one.word.spread()
            await until(lambda: other.heard > so_far)

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["memory://", "amqp://broker", "redis://127.0.0.1:1", "embedded://"])
def test_without_a_broker_there_is_no_word_and_no_harm(data_dir: Path, url: str) -> None:
    async def scenario() -> None:
        settings = settings_of(data_dir).model_copy(update={"broker_url": url})
        async with ears(1, settings) as [ear], asyncio.timeout(10):
            ear.word.spread()
            await asyncio.sleep(0.05)
            assert (ear.heard, ear.word.listens) == (0, False)

    asyncio.run(scenario())


def test_urls_of_brokers_are_read_as_their_library_reads_them() -> None:
    assert place_of("redis://broker") == Place("broker", 6379, "", (), None)
    assert place_of("redis://:a%2Fb@10.0.0.7:7000/3") == Place("10.0.0.7", 7000, "", ("a/b",), None)
    told = place_of("rediss://me:pw@broker:6380?ssl_cert_reqs=CERT_NONE")
    assert told == Place("broker", 6380, "", ("me", "pw"), {"ssl_cert_reqs": "CERT_NONE"})
    assert place_of("redis+socket://:pw@/run/v.sock?virtual_host=0") == Place(
        "127.0.0.1", 6379, "/run/v.sock", ("pw",), None
    )
    assert [place_of(url) for url in ("amqp://broker", "redis://broker:seven", "embedded://", "")] == [None] * 4
