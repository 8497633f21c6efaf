"""The pool: names that move, versions that are refused, formats, and memory."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.errors import NotFound, Unavailable
from app.retention.collecting import Collector
from app.serving import stock as stocks
from app.serving.pool import Pool
from app.store import models, retention
from tests.app.serving.shelf import Shelf
from tests.app.serving.tiny import graph, word_scores

UP, DOWN = (0.0, 9.0), (9.0, 0.0)
"""Biases that make a version always say positive, or negative."""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path, registry_refresh_seconds=0.02)
    yield shelf
    shelf.close()


@asynccontextmanager
async def running(shelf: Shelf, **changes: Any) -> AsyncIterator[Pool]:
    pool = Pool(shelf.database, shelf.artifacts, shelf.settings.model_copy(update=changes))
    pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def ask(pool: Pool, reference: str, prefer: Any = None) -> tuple[int, str, str]:
    """Give the version, the format and the answer of a call."""
    async with pool.use(reference, prefer) as version:
        [answer] = await asyncio.to_thread(version.predictor.predict, ["the film"])
        return version.version, version.format, answer.label


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 60
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def behind(name: str) -> float | None:
    return REGISTRY.get_sample_value("tunesmith_model_names_behind", {"name": name})


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def test_a_name_that_moves_is_answered_by_the_old_version_until_the_new_one_is_loaded(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)
    shelf.alias("mood", "champion", 1)
    slow = threading.Event()

    async def scenario() -> None:
        async with running(shelf) as pool:
            assert await ask(pool, "mood") == (1, "onnx", "positive")
            fetch = pool._stock._loader.fetch
            monkeypatch.setattr(pool._stock._loader, "fetch", lambda *wanted: slow.wait(60) and fetch(*wanted))
            shelf.alias("mood", "champion", 2)
            await until(lambda: moving(pool))
            for _ in range(20):
                assert (await ask(pool, "mood"))[0] == (await ask(pool, "mood@champion"))[0] == 1
            slow.set()
            await until(lambda: answers(pool, "mood", 2))
            assert await ask(pool, "mood@champion") == (2, "onnx", "negative")

    async def moving(pool: Pool) -> bool:
        return any(holder.moving for holder in pool._holders.values())

    asyncio.run(scenario())


async def answers(pool: Pool, reference: str, version: int) -> bool:
    return (await ask(pool, reference))[0] == version


def test_a_name_moves_though_nobody_asks_for_it(shelf: Shelf) -> None:
    """The first call long after a move must not be answered by the old version."""
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)
    shelf.alias("mood", "stable", 1)

    async def moved(pool: Pool) -> bool:
        return pool._holders["mood@stable"].version == 2

    async def scenario() -> None:
        async with running(shelf) as pool:
            await ask(pool, "mood@stable")
            shelf.alias("mood", "stable", 2)
            await until(lambda: moved(pool))
            assert (await ask(pool, "mood@stable"))[0] == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("harm", [truncate, Path.unlink])
def test_a_refused_version_leaves_the_old_one_answering_and_says_so(
    shelf: Shelf, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stocks, "REFUSED_SECONDS", 0.2)
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)
    shelf.alias("mood", "champion", 1)
    whole = shelf.stored(2, "model.onnx").read_bytes()
    harm(shelf.stored(2, "model.onnx"))

    async def told(pool: Pool) -> bool:
        return pool.standing().behind != []

    async def scenario() -> None:
        async with running(shelf) as pool:
            await ask(pool, "mood")
            shelf.alias("mood", "champion", 2)
            await until(lambda: told(pool))
            assert pool.standing().behind == [
                "mood means version 2, which is refused (damaged-bundle); version 1 answers"
            ]
            assert behind("mood") == 1
            assert await ask(pool, "mood") == (1, "onnx", "positive")
            with pytest.raises(Unavailable, match="damaged"):  # by its number it has no other to answer for it
                await ask(pool, "mood:2")
            shelf.stored(2, "model.onnx").write_bytes(whole)  # mended: found out without anyone asking
            await until(lambda: answers(pool, "mood", 2))
            assert (pool.standing().behind, behind("mood")) == ([], None)

    asyncio.run(scenario())


def test_a_version_whose_int8_file_is_broken_is_refused_too(shelf: Shelf) -> None:
    shelf.publish("mood", UP)
    for harmed in (True, False):
        number = shelf.publish_graph("mood", graph(word_scores(), UP), graph(word_scores(), DOWN), serve="onnx-int8")
        if harmed:
            truncate(shelf.stored(number, "model.int8.onnx"))
    shelf.alias("mood", "champion", 1)

    async def told(pool: Pool) -> bool:
        return pool.standing().behind != []

    async def scenario() -> None:
        async with running(shelf) as pool:
            await ask(pool, "mood")
            shelf.alias("mood", "champion", 2)
            await until(lambda: told(pool))
            assert await ask(pool, "mood") == (1, "onnx", "positive")
            assert await ask(pool, "mood:2", "accuracy") == (2, "onnx", "positive")  # its other file is whole
            shelf.alias("mood", "champion", 3)
            await until(lambda: answers(pool, "mood", 3))
            assert await ask(pool, "mood") == (3, "onnx-int8", "negative")

    asyncio.run(scenario())


def test_a_version_that_answers_otherwise_than_where_it_was_trained_is_refused(shelf: Shelf) -> None:
    for recorded in (UP, DOWN, UP):
        shelf.publish_golden("mood", UP, recorded)
    shelf.alias("mood", "champion", 1)

    async def told(pool: Pool) -> bool:
        return pool.standing().behind != []

    async def scenario() -> None:
        async with running(shelf) as pool:
            assert await ask(pool, "mood") == (1, "onnx", "positive")
            shelf.alias("mood", "champion", 2)
            await until(lambda: told(pool))
            assert "refused (golden-mismatch); version 1 answers" in pool.standing().behind[0]
            assert (await ask(pool, "mood"))[0] == 1
            with pytest.raises(Unavailable) as caught:
                await ask(pool, "mood:2")
            assert caught.value.code == "golden-mismatch"
            shelf.alias("mood", "champion", 3)
            await until(lambda: answers(pool, "mood", 3))

    asyncio.run(scenario())


def test_a_manifest_of_another_release_is_told(shelf: Shelf) -> None:
    shelf.publish("mood", UP)
    with shelf.database.transaction() as session:
        row = models.get_version(session, "mood", 1)
        assert row is not None
        row.manifest = {name: value for name, value in row.manifest.items() if name != "labels"}

    async def scenario() -> None:
        async with running(shelf) as pool:
            with pytest.raises(Unavailable, match="mood:1 cannot be read by this release: labels") as caught:
                await ask(pool, "mood")
            assert caught.value.code == "unreadable-manifest"

    asyncio.run(scenario())


def test_an_alias_that_moves_back_is_behind_no_more(shelf: Shelf) -> None:
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)
    shelf.alias("mood", "champion", 1)
    shelf.stored(2, "model.onnx").unlink()

    async def is_behind(pool: Pool, wanted: bool) -> bool:
        return bool(pool.standing().behind) == wanted

    async def scenario() -> None:
        async with running(shelf) as pool:
            await ask(pool, "mood")
            shelf.alias("mood", "champion", 2)
            await until(lambda: is_behind(pool, True))
            shelf.alias("mood", "champion", 1)
            await until(lambda: is_behind(pool, False))
            assert (await ask(pool, "mood"))[0] == 1

    asyncio.run(scenario())


def test_a_process_that_knows_no_older_version_says_why_it_cannot_answer(shelf: Shelf) -> None:
    shelf.publish("mood")
    truncate(shelf.stored(1, "model.onnx"))

    async def scenario() -> None:
        async with running(shelf) as pool:
            looked = []
            fetch = pool._stock._loader.fetch
            pool._stock._loader.fetch = lambda *wanted: looked.append(wanted) or fetch(*wanted)  # type: ignore[method-assign]
            for _ in range(5):
                with pytest.raises(Unavailable) as caught:
                    await ask(pool, "mood")
                assert caught.value.code == "damaged-bundle"
            assert len(looked) == 1  # it was not fetched for each of them

    asyncio.run(scenario())


def test_a_preference_chooses_the_format_and_each_counts_its_bytes(shelf: Shelf) -> None:
    """The int8 file says the opposite, so that an answer tells which one gave it."""
    shelf.publish_graph("mood", graph(word_scores(), UP), graph(word_scores(), DOWN))

    async def scenario() -> None:
        async with running(shelf) as pool:
            assert await ask(pool, "mood") == (1, "onnx", "positive")
            one = pool.standing().bytes
            assert await ask(pool, "mood", "accuracy") == (1, "onnx", "positive")
            assert pool.standing().bytes == one
            assert await ask(pool, "mood", "speed") == (1, "onnx-int8", "negative")
            assert (pool.standing().versions, pool.standing().bytes > one) == (2, True)

    asyncio.run(scenario())


def test_a_preference_for_a_broken_file_is_answered_by_the_usual_one(shelf: Shelf) -> None:
    shelf.publish_graph("mood", graph(word_scores(), UP), graph(word_scores(), DOWN))
    truncate(shelf.stored(1, "model.int8.onnx"))

    async def scenario() -> None:
        async with running(shelf) as pool:
            assert await ask(pool, "mood", "speed") == (1, "onnx", "positive")

    asyncio.run(scenario())


def test_many_first_callers_load_once_and_one_who_leaves_harms_nobody(shelf: Shelf) -> None:
    shelf.publish("mood", UP)

    async def scenario() -> None:
        async with running(shelf) as pool:
            loads = []
            load = pool._stock._loader.load
            pool._stock._loader.load = lambda *given: loads.append(given) or load(*given)  # type: ignore[method-assign]
            crowd = [asyncio.create_task(ask(pool, "mood")) for _ in range(20)]
            await asyncio.sleep(0)
            crowd[0].cancel()
            found = await asyncio.gather(*crowd, return_exceptions=True)
            assert isinstance(found[0], asyncio.CancelledError)
            assert found[1:] == [(1, "onnx", "positive")] * 19
            assert len(loads) == 1

    asyncio.run(scenario())


def test_unknown_names_share_a_few_reads_of_the_registry(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    snapshot = models.registry_snapshot
    monkeypatch.setattr(models, "registry_snapshot", lambda session: reads.append(1) or snapshot(session))

    async def miss(pool: Pool, number: int) -> None:
        with pytest.raises(NotFound):
            await ask(pool, f"nobody-{number}")

    async def scenario() -> None:
        async with running(shelf, registry_refresh_seconds=60.0) as pool:
            await asyncio.gather(*(miss(pool, number) for number in range(500)))
            assert len(reads) <= 3
            shelf.publish("nobody-1", UP)  # a miss is not remembered: what is there is found at once
            assert await ask(pool, "nobody-1") == (1, "onnx", "positive")

    asyncio.run(scenario())


def test_pinned_versions_are_loaded_at_start_and_readiness_waits_for_them(shelf: Shelf) -> None:
    shelf.publish("mood", UP), shelf.publish("other"), shelf.publish("broken")
    for model in ("mood", "broken"):
        shelf.alias(model, "champion", 1)
    truncate(shelf.stored(3, "model.onnx"))

    async def ready(pool: Pool) -> bool:
        return not pool.standing().is_preloading

    async def scenario() -> None:
        async with running(shelf) as pool:
            assert pool.standing().is_preloading
            await until(lambda: ready(pool))
            assert pool.standing().versions == 1
            assert pool.standing().behind == ["broken is pinned and not loaded (damaged-bundle)"]
        async with running(shelf, serve_preload_seconds=0.0) as pool:
            assert not pool.standing().is_preloading

    asyncio.run(scenario())


def test_a_pinned_alias_that_is_set_later_is_loaded_without_a_call(shelf: Shelf) -> None:
    shelf.publish("mood", UP)

    async def loaded(pool: Pool) -> bool:
        return pool.standing().versions == 1

    async def scenario() -> None:
        async with running(shelf) as pool:
            await asyncio.sleep(0.1)
            assert pool.standing().versions == 0
            shelf.alias("mood", "champion", 1)
            await until(lambda: loaded(pool))

    asyncio.run(scenario())


def test_what_is_held_together_stays_below_the_limit(shelf: Shelf) -> None:
    for number in range(6):
        shelf.publish(f"m{number}", UP, ballast=3 << 20)

    async def scenario() -> None:
        async with running(shelf, serve_cache_mb=12) as pool:
            for number in [*range(6), *range(6)]:
                assert await ask(pool, f"m{number}") == (1, "onnx", "positive")
                assert pool.standing().bytes <= 12 << 20
            assert 1 <= pool.standing().versions <= 4

    asyncio.run(scenario())


def test_a_version_larger_than_the_whole_cache_is_refused(shelf: Shelf) -> None:
    shelf.publish("mood", ballast=3 << 20)

    async def scenario() -> None:
        async with running(shelf, serve_cache_mb=2) as pool:
            with pytest.raises(Unavailable) as caught:
                await ask(pool, "mood")
            assert caught.value.code == "model-too-large"

    asyncio.run(scenario())


def test_a_call_in_flight_is_answered_by_a_version_that_is_deleted_meanwhile(shelf: Shelf) -> None:
    """Its row, its files and this machine's copy go; the call that holds it ends well, and the next finds nothing."""
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)

    async def scenario() -> None:
        async with running(shelf) as pool:
            async with pool.use("mood:1") as version:
                with shelf.database.transaction() as session:
                    retention.delete_version(session, "mood", 1)
                for garbage in Collector(shelf.database, shelf.artifacts, shelf.settings.data_dir, 0).find():
                    garbage.remove()
                assert not shelf.stored(1, "model.onnx").exists()
                [answer] = await asyncio.to_thread(version.predictor.predict, ["the film"])
                assert answer.label == "positive"

            async def is_gone() -> bool:
                try:
                    return (await ask(pool, "mood:1"))[0] != 1
                except NotFound as error:
                    return error.code == "version-not-found"

            await until(is_gone)
            assert await ask(pool, "mood") == (2, "onnx", "negative")

    asyncio.run(scenario())
