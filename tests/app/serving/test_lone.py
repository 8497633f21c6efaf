"""Texts that come alone: by all threads where nothing else is to be done and that is sooner, if there is memory."""

import asyncio
import os
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from app.errors import Unavailable
from app.processors import anywhere, dealt, kept_to
from app.serving.batcher import Batcher
from app.serving.cache import Cache
from app.serving.loaded import LoadedVersion
from app.serving.lone import CLOSES_AFTER, OPENS_AFTER, TRIES_EVERY, Lone
from app.serving.predictor import Predictor
from tests.app.serving.crew import texts, version
from tests.app.serving.tiny import CLS, GOOD, SEP, graph, word_scores, write_bundle
from tests.processes import until

BALLAST = 9 << 20
TEXT = np.array([CLS, GOOD, SEP])


def load(folder: Path, ballast: int = BALLAST) -> Predictor:
    """Load a model that computes with so many bytes of weights, for a machine with two threads."""
    return Predictor.load(write_bundle(folder, graph(word_scores(), ballast=ballast)), lone_shares=dealt(2))


def lone_of(predictor: Predictor) -> Lone[object]:
    assert predictor.lone is not None
    return predictor.lone


def opened(predictor: Predictor) -> Lone[object]:
    """Ask with texts that come alone until their session is there."""
    lone = lone_of(predictor)
    lone.allow()
    until(lambda: lone.is_open or predictor.logits([TEXT], alone=True) is None)
    return lone


def test_the_session_is_opened_for_texts_that_come_alone_and_closed_in_a_pause(tmp_path: Path) -> None:
    predictor = load(tmp_path / "bundle")
    lone, expected = lone_of(predictor), predictor.logits([TEXT])
    assert BALLAST < lone.bytes < BALLAST + 10_000
    lone.allow()
    for _ in range(2):
        for _ in range(OPENS_AFTER - 1):
            predictor.logits([TEXT], alone=True)
            predictor.logits([TEXT, TEXT])
        assert not lone.is_open
        predictor.logits([TEXT], alone=True)
        until(lambda: lone.is_open)
        for _ in range(TRIES_EVERY):
            np.testing.assert_allclose(predictor.logits([TEXT], alone=True), expected, rtol=1e-5)
        assert lone.by_one.seconds and lone.by_all.seconds, "either way was taken"
        predictor.rest()
        assert not lone.is_open


@pytest.mark.skipif(dealt(2) == anywhere(2), reason="there is one processor, or the system does not let threads choose")
def test_its_threads_keep_off_each_others_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = dealt(2)
    before = tasks()
    lone = opened(load(tmp_path / "bundle"))
    until(lambda: [set(second)] == kept_since(before))
    monkeypatch.setattr(lone._session, "_session", Spy())
    with kept_to(second):
        assert lone._session.run([], {}) == [set(first)]
        assert os.sched_getaffinity(0) == set(second)


class Spy:
    """Tells where it is called."""

    def run(self, *_: object) -> list[set[int]]:
        """Answer with the processors of the thread that calls."""
        return [os.sched_getaffinity(0)]


def tasks() -> set[int]:
    """Number the threads of this process."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def kept_since(before: set[int]) -> list[set[int]]:
    """Tell where those of the threads begun since then may run that may not run everywhere."""
    everywhere, found = os.sched_getaffinity(os.getpid()), []
    for task in tasks() - before:
        with suppress(ProcessLookupError):
            found.append(os.sched_getaffinity(task))
    return [processors for processors in found if processors != everywhere]


def test_the_session_is_closed_while_texts_come_together(tmp_path: Path) -> None:
    predictor = load(tmp_path / "bundle")
    lone = opened(predictor)
    for _ in range(2):
        assert lone.is_open, "now and then texts may come together"
        for _ in range(CLOSES_AFTER - 1):
            predictor.logits([TEXT, TEXT])
        predictor.logits([TEXT], alone=True)
    for _ in range(CLOSES_AFTER):
        predictor.logits([TEXT, TEXT])
    assert not lone.is_open


def test_a_version_that_is_let_go_is_freed_at_once_though_its_session_is_open(tmp_path: Path) -> None:
    held = [load(tmp_path / "bundle")]
    assert opened(held[0]).is_open
    left = weakref.ref(held.pop())
    assert left() is None


def test_the_way_that_is_sooner_is_taken_and_the_other_tried_now_and_then(tmp_path: Path) -> None:
    lone = lone_of(load(tmp_path / "bundle"))
    lone.allow()
    until(lambda: lone.is_open or lone.session())
    for by_all, wins in ((0.1, True), (10.0, False)):
        for _ in range(100):
            lone.note(10, 10.0, by_all=False)
            lone.note(10, 10.0 * by_all, by_all=True)
        taken = [lone.session() is not None for _ in range(2 * TRIES_EVERY)]
        assert taken.count(wins) == len(taken) - 2


def test_a_small_model_and_a_single_thread_have_no_such_session(tmp_path: Path) -> None:
    assert load(tmp_path / "small", ballast=0).lone is None
    bundle = write_bundle(tmp_path / "bundle", graph(word_scores(), ballast=BALLAST))
    assert Predictor.load(bundle, lone_shares=dealt(1)).lone is None


def test_only_a_text_that_nothing_else_waits_or_is_computed_with_is_alone() -> None:
    async def scenario(batcher: Batcher) -> None:
        alone, several, beside = version(), version(), version()
        while True not in alone.predictor.alone:  # both threads have to have come to rest
            await batcher.run(alone, texts(10))
        several.predictor.gate.clear()
        held = asyncio.ensure_future(batcher.run(several, texts(10, 10)))
        for _ in range(2):
            await asyncio.to_thread(several.predictor.at_gate.acquire)
        several.predictor.gate.set()
        await held
        several.predictor.gate.clear()
        held = asyncio.ensure_future(batcher.run(several, texts(10)))
        await asyncio.to_thread(several.predictor.at_gate.acquire)
        await batcher.run(beside, texts(10))
        several.predictor.gate.set()
        await held
        assert several.predictor.alone[:2] == [False, False]
        assert beside.predictor.alone == [False]

    batcher = Batcher(shares=anywhere(2), longest_wait_ms=60_000)
    try:
        asyncio.run(scenario(batcher))
    finally:
        batcher.close()


def test_its_bytes_are_reserved_of_what_is_left_and_go_before_any_version(tmp_path: Path) -> None:
    first, second = (LoadedVersion(name, 1, load(tmp_path / name), bytes=10 << 20) for name in ("first", "second"))
    cache = Cache(31 << 20)
    cache.add(("first", 1, "onnx"), first)
    lone = lone_of(first.predictor)
    assert lone.is_allowed
    assert (cache.bytes, cache.lone_bytes) == (10 << 20, lone.bytes)
    cache.add(("second", 1, "onnx"), second)
    assert not lone_of(second.predictor).is_allowed, "there is no room for a second one"
    cache.make_room(("third", 1, "onnx"), 10 << 20)
    assert (len(cache), cache.lone_bytes, lone.is_allowed) == (2, 0, False)
    for _ in range(2 * OPENS_AFTER):
        assert lone.session() is None
    cache.make_room(("third", 1, "onnx"), 31 << 20)
    assert (len(cache), cache.bytes, cache.lone_bytes) == (0, 0, 0)
    with pytest.raises(Unavailable):
        cache.make_room(("third", 1, "onnx"), 32 << 20)
