"""The batcher: every caller's own answers, deadlines kept, nothing computed for callers who left, overload refused."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from app.errors import DeadlineExceeded, Overloaded
from app.processors import Share, anywhere, dealt
from app.serving import batcher as module
from app.serving import returning
from app.serving.batcher import REST_SECONDS, Batcher
from app.serving.returning import Returning
from app.serving.waiting import Call
from app.telemetry import PREDICT_DROPPED
from tests.app.serving.crew import HAS_SAY, Version, texts, version

Scenario = Callable[[Batcher], Awaitable[None]]


def run(
    scenario: Scenario,
    *,
    threads: int = 1,
    shares: Sequence[Share] = (),
    longest_wait_ms: int = 60_000,
    most_items: int = 2048,
) -> None:
    """Play a scenario with a batcher of its own."""
    batcher = Batcher(shares=shares or anywhere(threads), longest_wait_ms=longest_wait_ms, most_items=most_items)
    try:
        asyncio.run(scenario(batcher))
    finally:
        batcher.close()


def dropped(reason: str) -> float:
    return sum(
        sample.value
        for metric in PREDICT_DROPPED.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["reason"] == reason
    )


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


def test_every_caller_gets_its_own_answers_in_their_order() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked = version()
        wishes = [[5 + n % 7, *range(20, 20 + n % 5)] for n in range(60)]
        calls = await asyncio.gather(*(batcher.run(asked, texts(*wish)) for wish in wishes))
        assert [[row[0] for row in call.logits] for call in calls] == wishes
        assert len(batcher) == 0 and batcher.estimated_wait() == 0
        assert max(map(len, asked.predictor.batches)) == 4

    run(scenario, threads=3)


@pytest.mark.skipif(not HAS_SAY, reason="the system does not let threads choose their processors")
def test_each_thread_keeps_to_its_share_of_the_processors() -> None:
    shares = dealt(2)

    async def scenario(batcher: Batcher) -> None:
        both = version()
        both.predictor.gate.clear()
        calls = [asyncio.ensure_future(batcher.run(both, texts(10))) for _ in shares]
        await until(lambda: len(both.predictor.batches) == 2)
        both.predictor.gate.set()
        await asyncio.gather(*calls)
        everywhere = os.sched_getaffinity(0)
        expected = [set(share) or everywhere for share in shares]
        assert sorted(map(sorted, both.predictor.processors)) == sorted(map(sorted, expected))

    run(scenario, shares=shares)


def test_texts_that_come_one_by_one_are_computed_by_the_same_thread() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked = version()
        for _ in range(20):
            await until(lambda: len(batcher._resting) == 2)
            await batcher.run(asked, texts(10))
        assert len(set(asked.predictor.threads)) == 1

    run(scenario, threads=2)


def test_what_cannot_be_ready_in_time_is_answered_in_time_and_never_computed() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked, before = version(), dropped("expired")
        asked.predictor.gate.clear()
        first = asyncio.ensure_future(batcher.run(asked, texts(10)))
        await until(lambda: len(asked.predictor.batches) == 1)
        began = time.perf_counter()
        with pytest.raises(DeadlineExceeded) as late:
            await batcher.run(asked, texts(20, 21), deadline=began + 0.05)
        assert 0.045 < time.perf_counter() - began < 5
        assert (late.value.code, late.value.status) == ("deadline-exceeded", 504)
        asked.predictor.gate.set()
        await first
        await batcher.run(asked, texts(30))
        assert asked.predictor.batches == [[10], [30]]
        assert dropped("expired") - before == 2

    run(scenario)


def test_while_all_others_compute_a_thread_takes_more_than_its_equal_share() -> None:
    async def scenario(batcher: Batcher) -> None:
        slow, quick, asked = version(), version(), version()
        slow.predictor.gate.clear()
        quick.predictor.gate.clear()
        calls = [asyncio.ensure_future(batcher.run(each, texts(10))) for each in (slow, quick)]
        await until(lambda: len(slow.predictor.batches) == len(quick.predictor.batches) == 1)
        calls.append(asyncio.ensure_future(batcher.run(asked, texts(10, 10, 10, 10))))
        await until(lambda: len(batcher) == 4)
        quick.predictor.gate.set()
        await calls[2]
        assert asked.predictor.batches == [[10, 10, 10], [10]]
        slow.predictor.gate.set()
        await asyncio.gather(*calls)

    run(scenario, threads=2)


async def ask_again(batcher: Batcher, asked: Version, lengths: list[int], times: int) -> None:
    """Let a caller for each length ask so many times, each time as soon as it is answered."""

    async def caller(length: int) -> None:
        for _ in range(times):
            call = await batcher.run(asked, texts(length))
            assert [row[0] for row in call.logits] == [length]

    await asyncio.gather(*map(caller, lengths))


def test_threads_wait_for_a_fair_part_of_callers_who_ask_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "PATIENCE", 250.0)  # this machine may be busy

    async def scenario(batcher: Batcher) -> None:
        asked = version(items=4, price=0.0)
        asked.predictor.seconds = 0.002
        asking = asyncio.ensure_future(ask_again(batcher, asked, [10] * 8, times=80))
        await until(lambda: batcher.awaits_callers)
        seen = len(asked.predictor.batches)
        await asking
        sizes = Counter(len(batch) for batch in asked.predictor.batches[seen + 2 :])
        assert sizes[4] > 0.8 * sizes.total(), sizes

    run(scenario, threads=2)


@pytest.mark.parametrize(("around", "price", "callers"), [(1.0, 0.0, 8), (0.4e-3, 1.0, 8), (0.4e-3, 0.0, 3)])
def test_they_do_not_for_quick_texts_nor_where_padding_costs_nor_for_few_callers(
    monkeypatch: pytest.MonkeyPatch, around: float, price: float, callers: int
) -> None:
    monkeypatch.setattr(returning, "PATIENCE", 250.0)
    monkeypatch.setattr(returning, "AROUND_SECONDS", around)

    async def scenario(batcher: Batcher) -> None:
        asked = version(items=4, price=price)
        asked.predictor.seconds = 0.002
        await ask_again(batcher, asked, [10] * callers, times=30)
        assert not batcher.awaits_callers

    run(scenario, threads=2)


def test_callers_who_stay_away_hold_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "PATIENCE", 25.0)  # 80 ms for 8 of them

    async def scenario(batcher: Batcher) -> None:
        asked = version(items=4, price=0.0)
        asked.predictor.seconds = 0.002
        for _ in range(5):
            asking = asyncio.ensure_future(ask_again(batcher, asked, [10] * 8, times=20))
            await until(lambda: batcher.awaits_callers)
            await asking
            began = time.perf_counter()
            await ask_again(batcher, asked, [10] * 2, times=1)
            assert time.perf_counter() - began < REST_SECONDS / 2, "nobody looks again only after a rest"

    run(scenario, threads=2)


def test_a_thread_whose_texts_were_all_given_up_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Returning, "end", lambda *_: 1e9)
    monkeypatch.setattr(Returning, "fair_part", lambda *_: 2)

    async def scenario(batcher: Batcher) -> None:
        asked = version()
        asked.predictor.gate.clear()
        first = asyncio.ensure_future(batcher.run(asked, texts(10)))
        await until(lambda: len(asked.predictor.batches) == 1)
        gone = asyncio.ensure_future(batcher.run(asked, texts(10, 10)))
        await until(lambda: len(batcher) == 2)
        gone.cancel()
        await asyncio.wait([gone])
        asked.predictor.gate.set()
        await first
        await until(lambda: not len(batcher))
        await asyncio.wait_for(batcher.run(asked, texts(7)), 30)

    run(scenario)


@pytest.mark.parametrize("is_same", [True, False])
def test_only_texts_of_the_version_that_answered_are_held_up(monkeypatch: pytest.MonkeyPatch, is_same: bool) -> None:
    monkeypatch.setattr(Returning, "end", lambda *_: time.perf_counter() + 1.0)
    monkeypatch.setattr(Returning, "fair_part", lambda *_: 4)

    async def scenario(batcher: Batcher) -> None:
        asked, other = version(), version()
        await batcher.run(asked, texts(10))
        began = time.perf_counter()
        await batcher.run(asked if is_same else other, texts(10))
        assert (time.perf_counter() - began > 0.9) is is_same

    run(scenario)


def test_what_waits_for_others_is_answered_when_the_batcher_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Returning, "end", lambda *_: 1e9)
    monkeypatch.setattr(Returning, "fair_part", lambda *_: 4)

    async def scenario(batcher: Batcher) -> None:
        asked = version()
        asked.predictor.gate.clear()
        await until(lambda: len(batcher._resting) == 2)
        calls = [asyncio.ensure_future(batcher.run(asked, texts(7))) for _ in range(2)]
        await until(lambda: len(asked.predictor.batches) == 2)
        asked.predictor.gate.set()
        await asyncio.gather(*calls)
        calls = [asyncio.ensure_future(batcher.run(asked, texts(7))) for _ in range(2)]
        await until(lambda: len(batcher) == 2)
        await asyncio.sleep(0.05)
        assert len(batcher) == 2
        await asyncio.to_thread(batcher.close)
        assert [[row[0] for row in (await call).logits] for call in calls] == [[7], [7]]

    run(scenario, threads=2)


Drawn = list[tuple[int, Share]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Keep who is drawn to which processors."""
    noted: Drawn = []

    @contextmanager
    def note(thread: int, share: Share) -> Iterator[None]:
        noted.append((thread, share))
        yield

    monkeypatch.setattr(module, "drawn_to", note)
    return noted


@pytest.mark.skipif(dealt(2) == anywhere(2), reason="there is one processor, or the system does not let threads choose")
def test_the_event_loop_is_drawn_to_the_processors_of_threads_that_do_not_compute(
    monkeypatch: pytest.MonkeyPatch, drawn: Drawn
) -> None:
    monkeypatch.setattr(Returning, "end", lambda *_: 1e9)
    monkeypatch.setattr(Returning, "fair_part", lambda *_: 2)
    first, second = dealt(2)

    async def begin(batcher: Batcher, asked: Version) -> "asyncio.Future[list[Call]]":
        asked.predictor.gate.clear()
        before = len(asked.predictor.batches)
        calls = asyncio.gather(*(batcher.run(asked, texts(10)) for _ in range(2)))
        await until(lambda: len(asked.predictor.batches) > before)
        return calls

    async def scenario(batcher: Batcher) -> None:
        slow, quick = version(), version()
        quick.gauge = slow.gauge  # a thread waits for the texts of either
        await until(lambda: len(batcher._resting) == 2)
        calls = await begin(batcher, slow)
        await until(lambda: len(slow.predictor.batches) == 2)
        slow.predictor.gate.set()
        await calls
        await until(lambda: len(batcher._resting) == 2)  # from now on each waits for two texts
        drawn.clear()
        calls = await begin(batcher, slow)
        others = await begin(batcher, quick)
        quick.predictor.gate.set()
        await others
        await until(lambda: len(batcher._resting) == 1)
        slow.predictor.gate.set()
        await calls
        assert slow.predictor.batches[2:] == quick.predictor.batches == [[10, 10]]
        leaves, stays, comes, is_free = [share for _, share in drawn]
        assert (leaves, stays) == (second, Share()), "it leaves who begins, while there is a thread that rests"
        assert (comes, is_free) == (second, first | second), "it comes to who ends"
        assert {thread for thread, _ in drawn} == {threading.get_native_id()}

    run(scenario, shares=dealt(2))


def test_the_event_loop_stays_where_it_is_for_a_text_that_comes_alone(drawn: Drawn) -> None:
    async def scenario(batcher: Batcher) -> None:
        await until(lambda: len(batcher._resting) == 2)
        await batcher.run(version(), texts(10))
        assert drawn == [(threading.get_native_id(), Share().union(*dealt(2)))]

    run(scenario, shares=dealt(2))


def test_a_deadline_that_is_kept_changes_nothing() -> None:
    async def scenario(batcher: Batcher) -> None:
        call = await batcher.run(version(), texts(7), deadline=time.perf_counter() + 30)
        assert [row[0] for row in call.logits] == [7]

    run(scenario)


def test_nothing_is_computed_for_a_caller_who_left() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked, before = version(), dropped("cancelled")
        asked.predictor.gate.clear()
        first = asyncio.ensure_future(batcher.run(asked, texts(10)))
        await until(lambda: len(asked.predictor.batches) == 1)
        gone = asyncio.ensure_future(batcher.run(asked, texts(*[20] * 50)))
        await until(lambda: len(batcher) == 50)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        asked.predictor.gate.set()
        await first
        await batcher.run(asked, texts(30))
        assert asked.predictor.batches == [[10], [30]]
        assert (len(batcher), dropped("cancelled") - before) == (0, 50)

    run(scenario)


def test_a_batch_that_fails_fails_its_callers_alone() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked, before = version(items=1), dropped("failed")
        with pytest.raises(ValueError, match="thirteen"):
            await batcher.run(asked, texts(13))
        assert dropped("failed") - before == 1
        assert (await batcher.run(asked, texts(7))).logits[0][0] == 7

    run(scenario)


def test_too_much_work_is_refused_with_the_time_it_takes() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked = version(speed=100.0)
        asked.predictor.gate.clear()
        calls = [asyncio.ensure_future(batcher.run(asked, texts(10)))]
        await until(lambda: len(asked.predictor.batches) == 1)
        calls.append(asyncio.ensure_future(batcher.run(asked, texts(*[50] * 10))))
        await until(lambda: len(batcher) == 10)
        assert batcher.estimated_wait() == pytest.approx(5.0)
        with pytest.raises(Overloaded) as refused:
            await batcher.run(asked, texts(1))
        assert refused.value.headers["Retry-After"] == "4"
        assert refused.value.extra["queue_ms"] == 5000
        asked.predictor.gate.set()
        await asyncio.gather(*calls)
        batcher.permit()

    run(scenario, longest_wait_ms=1000)


def test_only_so_many_texts_may_wait_but_one_list_always_may() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked = version(speed=1e9)
        asked.predictor.gate.clear()
        calls = [asyncio.ensure_future(batcher.run(asked, texts(10)))]
        await until(lambda: len(asked.predictor.batches) == 1)
        calls.append(asyncio.ensure_future(batcher.run(asked, texts(*[10] * 9))))  # more than may wait, but alone
        await until(lambda: len(batcher) == 9)
        with pytest.raises(Overloaded):
            batcher.permit()
        asked.predictor.gate.set()
        await asyncio.gather(*calls)

    run(scenario, most_items=8)


def test_closing_answers_what_waits() -> None:
    async def scenario(batcher: Batcher) -> None:
        asked = version()
        asked.predictor.gate.clear()
        calls = [asyncio.ensure_future(batcher.run(asked, texts(length))) for length in (3, 4, 5)]
        await until(lambda: len(asked.predictor.batches) == 1)
        closing = asyncio.ensure_future(asyncio.to_thread(batcher.close))
        asked.predictor.gate.set()
        assert [call.logits[0][0] for call in await asyncio.gather(*calls)] == [3, 4, 5]
        await closing

    run(scenario)
