"""Canaries in the pool: loaded in the background, sticky, pinned, and without harm when they cannot answer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from app.schemas.traffic import Canary, Traffic
from app.serving.pool import Pool
from app.serving.split import place
from app.store import models, traffic
from app.store.promotions import Note
from tests.app.serving.shelf import Shelf
from tests.app.serving.test_pool import DOWN, UP, running, truncate, until

NEAR, FAR = "account-1", "account-0"
"""Two callers: one that falls to a canary of 50 %, one that does not."""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Three versions, the first of which is champion."""
    shelf = Shelf(tmp_path, registry_refresh_seconds=0.02)
    shelf.publish("mood", UP), shelf.publish("mood", DOWN), shelf.publish("mood", UP)
    shelf.alias("mood", "champion", 1)
    yield shelf
    shelf.close()


def split(shelf: Shelf, version: int, percent: float = 50) -> None:
    with shelf.database.transaction() as session:
        model, alias = models.locked(session, "mood"), models.get_alias(session, "mood", "champion")
        assert alias is not None
        wish = Traffic(canary=Canary(version=version, percent=percent))
        traffic.put(session, model, alias, wish, Note(kind="traffic"))


async def answerer(pool: Pool, key: str | None, reference: str = "mood") -> int:
    version = await pool.take(await pool.meaning(reference), None, lambda: key)
    pool.give_back(version)
    return version.version


async def soon(pool: Pool, key: str, version: int) -> None:
    async def answers() -> bool:
        return await answerer(pool, key) == version

    await until(answers)


def calls(outcome: str, version: int) -> float:
    names = {"model": "mood", "alias": "champion", "version": str(version), "outcome": outcome}
    return REGISTRY.get_sample_value("tunesmith_canary_calls_total", names) or 0.0


def test_the_callers_are_where_the_tests_want_them() -> None:
    assert place("mood", "champion", NEAR) < 50 < place("mood", "champion", FAR)


def test_all_processes_agree_on_who_is_answered_by_the_canary(shelf: Shelf) -> None:
    async def scenario() -> None:
        async with running(shelf) as one, running(shelf) as other:
            assert await answerer(one, NEAR) == await answerer(other, NEAR) == 1
            split(shelf, 2)
            before = calls("canary", 2)
            for pool in (one, other):
                await soon(pool, NEAR, 2)
                for reference in ("mood", "mood@champion"):
                    assert [await answerer(pool, key, reference) for key in (NEAR, FAR)] == [2, 1]
                assert await answerer(pool, NEAR, "mood:3") == 3
                assert {await answerer(pool, None) for _ in range(40)} == {1, 2}
            assert calls("canary", 2) > before
            async with one.use("mood") as version:
                assert version.version == 1, "who looks at the alias sees what it names"

    asyncio.run(scenario())


def test_a_promoted_canary_answers_everybody_and_another_move_nobody(shelf: Shelf) -> None:
    async def scenario() -> None:
        async with running(shelf) as pool:
            split(shelf, 2)
            await soon(pool, NEAR, 2)
            shelf.alias("mood", "champion", 2)
            await soon(pool, FAR, 2)
            split(shelf, 1)
            await soon(pool, NEAR, 1)
            shelf.alias("mood", "champion", 3)
            await soon(pool, FAR, 3)
            assert await answerer(pool, NEAR) == 3
            assert pool.canaries.standing() == []

    asyncio.run(scenario())


def test_a_canary_that_cannot_be_loaded_harms_nobody_and_is_told_of(shelf: Shelf) -> None:
    truncate(shelf.stored(2, "model.onnx"))

    async def told(pool: Pool) -> bool:
        assert await answerer(pool, NEAR) == 1
        return pool.standing().behind != []

    async def scenario() -> None:
        async with running(shelf) as pool:
            before = calls("fallback", 2)
            split(shelf, 2, 100)
            await until(lambda: told(pool))
            assert pool.standing().behind == [
                "mood@champion has version 2 for a canary, which is refused (damaged-bundle); "
                "version 1 answers all calls"
            ]
            [found] = pool.canaries.standing()
            assert (found.is_loaded, found.refused, found.percent) == (False, "damaged-bundle", 100)
            assert calls("fallback", 2) > before
            split(shelf, 3, 100)
            await soon(pool, NEAR, 3)
            assert pool.standing().behind == []

    asyncio.run(scenario())


def test_the_canary_of_a_pinned_alias_is_pinned_too(shelf: Shelf) -> None:
    async def scenario() -> None:
        async with running(shelf) as pool:
            split(shelf, 2)
            await soon(pool, NEAR, 2)
            assert pool._stock.cache.pinned == {("mood", 1), ("mood", 2)}
            pool._stock.cache.shrink(0)  # all is idle: whatever is not pinned would go first
            await soon(pool, NEAR, 2)
            shelf.alias("mood", "champion", 2)

            async def unpinned() -> bool:
                return pool._stock.cache.pinned == {("mood", 2)}

            await until(unpinned)

    asyncio.run(scenario())
