"""Shadows: compared after the answer, dropped when there is no time, and counted over processes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.api.traffic_report import traffic_report
from app.schemas.predictions import Prediction, PredictRequest
from app.schemas.traffic import Shadow, ShadowReport, Traffic
from app.serving import shadows as room
from app.serving.pool import Pool
from app.serving.service import PredictionService
from app.serving.tallies import Pair, ShadowTallies
from app.store import models, shadows, traffic
from app.store.engine import Database
from app.store.promotions import Note
from tests.app.conftest import Store
from tests.app.serving.shelf import Shelf
from tests.app.serving.test_pool import DOWN, UP, truncate, until


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Two versions that contradict each other; the second is the shadow of the first."""
    shelf = Shelf(tmp_path, registry_refresh_seconds=0.02, serve_threads=1)
    shelf.publish("mood", UP), shelf.publish("mood", DOWN)
    shelf.alias("mood", "champion", 1)
    with shelf.database.transaction() as session:
        alias = models.get_alias(session, "mood", "champion")
        assert alias is not None
        wish = Traffic(shadow=Shadow(version=2, percent=100))
        traffic.put(session, models.locked(session, "mood"), alias, wish, Note(kind="traffic"))
    yield shelf
    shelf.close()


@asynccontextmanager
async def serving(shelf: Shelf) -> AsyncIterator[tuple[Pool, PredictionService]]:
    pool = Pool(shelf.database, shelf.artifacts, shelf.settings)
    service = PredictionService(pool, shelf.settings, shelf.database)
    pool.start()
    try:
        yield pool, service
    finally:
        await asyncio.to_thread(service.close)
        await pool.close()


async def ask(service: PredictionService, *texts: str) -> int:
    answer = await service.predict(PredictRequest(model="mood", inputs=list(texts)))
    return answer.version


def report(database: Database) -> ShadowReport | None:
    with database.transaction(read_only=True) as session:
        pairs = traffic_report("champion", shadows.of_alias(session, "mood", "champion")).pairs
    return pairs[0] if pairs else None


async def compared(shelf: Shelf, service: PredictionService, texts: int) -> ShadowReport:
    async def enough() -> bool:
        await asyncio.to_thread(service.observer.flusher.flush)
        found = report(shelf.database)
        return found is not None and found.compared >= texts

    await until(enough)
    found = report(shelf.database)
    assert found is not None
    return found


async def loaded(pool: Pool) -> None:
    async def there() -> bool:
        return pool.shadows.get("mood", 2) is not None

    await until(there)


def test_what_a_shadow_would_have_said_is_counted_by_all_processes_together(shelf: Shelf) -> None:
    async def scenario() -> None:
        async with serving(shelf) as (pool, one), serving(shelf) as (other_pool, other):
            assert await ask(one, "the film") == 1
            await loaded(pool), await loaded(other_pool)
            for service in (one, other):
                assert await ask(service, "the film", "good film") == 1
            await compared(shelf, one, 2)
            found = await compared(shelf, other, 4)
            assert (found.answered_version, found.shadow_version, found.compared, found.agreed) == (1, 2, 4, 0)
            assert [(pair.answered, pair.shadow, pair.texts) for pair in found.differing] == [
                ("positive", "negative", 4)
            ]
            assert found.mean_difference == pytest.approx(0.99, abs=0.02), "both are sure, of opposite labels"
            assert found.dropped == {"not-loaded": 1}

    asyncio.run(scenario())


def test_a_slow_shadow_delays_nobody_and_what_it_misses_is_counted(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LONGEST_SECONDS", 0.2)

    async def scenario() -> None:
        async with serving(shelf) as (pool, service):
            await ask(service, "the film")
            await loaded(pool)
            shadow = pool.shadows.get("mood", 2)
            assert shadow is not None
            logits, gate = shadow.predictor.logits, threading.Event()
            monkeypatch.setattr(shadow.predictor, "logits", lambda ids: gate.wait(10) and logits(ids))
            await ask(service, "the film")

            async def computes() -> bool:
                return shadow.users == 1

            await until(computes)
            for _ in range(19):
                assert await ask(service, "the film") == 1
                await asyncio.sleep(0.005)
            assert shadow.users == 1, "nineteen answers were given while the shadow was at its first"
            gate.set()
            monkeypatch.setattr(type(service.batcher), "is_idle", property(lambda _: False))
            found = await compared(shelf, service, 1)

            async def dropped() -> bool:
                await asyncio.to_thread(service.observer.flusher.flush)
                found = report(shelf.database)
                return found is not None and found.dropped.get("busy", 0) + found.compared >= 20

            await until(dropped)
            assert found.compared < 20

    asyncio.run(scenario())


def test_a_shadow_that_fails_harms_nobody(shelf: Shelf) -> None:
    truncate(shelf.stored(2, "model.onnx"))

    async def scenario() -> None:
        async with serving(shelf) as (pool, service):
            assert await ask(service, "the film", "good") == 1

            async def refused() -> bool:
                return pool.shadows.refusal("mood", 2) == "damaged-bundle"

            await until(refused)
            assert await ask(service, "the film") == 1
            await asyncio.to_thread(service.observer.flusher.flush)
            found = report(shelf.database)
            assert found is not None and (found.compared, found.agreement) == (0, None)
            assert found.dropped == {"not-loaded": 3}
            assert pool.standing().behind == [], "answers are as good as ever"

    asyncio.run(scenario())


def test_a_shadow_is_not_loaded_where_another_version_would_have_to_go(shelf: Shelf) -> None:
    async def scenario() -> None:
        async with serving(shelf) as (pool, service):
            await ask(service, "the film")
            pool._stock.cache.limit = pool._stock.cache.bytes

            async def refused() -> bool:
                await ask(service, "the film")
                return pool.shadows.refusal("mood", 2) == "no-room"

            await until(refused)
            [shown] = pool.canaries.standing()
            assert (shown.role, shown.is_loaded, shown.refused) == ("shadow", False, "no-room")

    asyncio.run(scenario())


def answer(label: str, score: float, **scores: float) -> Prediction:
    return Prediction(label=label, score=score, scores=scores or None, tokens=3, truncated=False)


def test_counts_add_up_and_survive_a_database_that_is_away(database: Database) -> None:
    store = Store(database)
    store.publish(store.running())
    pair = Pair("mood", "champion", 1, 2)
    processes = [ShadowTallies(), ShadowTallies()]
    for tallies in processes:
        tallies.compare(pair, answer("a", 0.9), answer("a", 0.7, a=0.7, b=0.3))
        tallies.compare(pair, answer("a", 0.6), answer("b", 0.8, b=0.8, a=0.2))
        tallies.drop(pair, "busy", 3)
    nowhere = Database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(Exception, match="database"):
        processes[0].flush(nowhere)
    nowhere.close()
    for tallies in (*processes, *processes):
        tallies.flush(database)
    found = report(database)
    assert found is not None
    assert (found.compared, found.agreed, found.agreement, found.dropped) == (4, 2, 0.5, {"busy": 6})
    assert found.mean_difference == pytest.approx((0.2 + 0.4) / 2)
    assert (found.same, [(item.answered, item.shadow, item.texts) for item in found.differing]) == (
        {"a": 2},
        [("a", "b", 2)],
    )
    store.do(shadows.forget, "mood", 2)
    assert report(database) is None


def test_sets_of_labels_are_compared_as_sets_and_told_label_by_label() -> None:
    tallies, pair = ShadowTallies(), Pair("mood", "champion", 1, 2)
    given = answer("late", 0.9).model_copy(update={"labels": ["late", "rude"]})
    would = answer("late", 0.8, late=0.8).model_copy(update={"labels": ["late", "broken"]})
    tallies.compare(pair, given, would)
    tallies.compare(pair, given, would.model_copy(update={"labels": ["rude", "late"]}))
    counted = {key[1:]: count.texts for key, count in tallies._counts.items()}
    assert counted == {
        ("compared", "", ""): 2,
        ("agreed", "", ""): 1,
        ("labels", "late", "late"): 2,
        ("labels", "rude", ""): 1,
        ("labels", "", "broken"): 1,
        ("labels", "rude", "rude"): 1,
    }
