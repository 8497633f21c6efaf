"""Who is next among the waiting texts: fair between callers, alike in length, within the budget of the version."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from app.serving.policy import BatchPolicy
from app.serving.waiting import Call, Item, Waiting
from tests.app.serving.crew import Version, texts, version


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for futures; it never runs."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Desk:
    """Callers that come to one line."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.line = Waiting()

    def come(self, asked: Version, *lengths: int) -> Call:
        """Let a caller wait with texts of these lengths."""
        call = Call(asked, self.loop.create_future(), [None] * len(lengths), len(lengths))
        self.line.add(call, texts(*lengths), now=0.0)
        return call

    def next(self, threads: int = 1) -> list[Item]:
        """Take a batch."""
        return self.line.take(math.ceil(len(self.line) / threads))


@pytest.fixture
def desk(loop: asyncio.AbstractEventLoop) -> Desk:
    return Desk(loop)


def lengths(batch: list[Item]) -> list[int]:
    return sorted(len(item.ids) for item in batch)


def test_the_oldest_text_goes_with_those_of_like_length(desk: Desk) -> None:
    asked = version(items=2)
    for length in (10, 90, 11, 91):
        desk.come(asked, length)
    assert [lengths(desk.next()), lengths(desk.next())] == [[10, 11], [90, 91]]
    assert desk.next() == []


def test_a_batch_stays_within_the_tokens_of_its_version_and_a_longer_text_goes_alone(desk: Desk) -> None:
    asked = version(items=8, tokens=100)
    for _ in range(4):
        desk.come(asked, 40)
    desk.come(asked, 500)
    assert [lengths(desk.next()) for _ in range(3)] == [[40, 40], [40, 40], [500]]


def test_texts_of_unlike_lengths_go_together_only_where_a_call_costs_more_than_padding(desk: Desk) -> None:
    for call_tokens, batches in (
        (0.0, [[10, 10], [30, 30], [34]]),
        (16.0, [[10, 10], [30, 30, 34]]),
        (1000.0, [[10, 10, 30, 30, 34]]),
    ):
        asked = Version()
        asked.gauge.begin(BatchPolicy(8, 512, 1000.0, call_tokens))
        for length in (10, 30, 10, 34, 30):
            desk.come(asked, length)
        assert [lengths(desk.next()) for _ in batches] == batches
        assert desk.next() == []


def test_where_padding_costs_nothing_any_texts_go_together(desk: Desk) -> None:
    asked = Version()
    asked.gauge.begin(BatchPolicy(8, 100, 1000.0, padding_price=0.0))
    for length in (10, 60, 12, 30):
        desk.come(asked, length)
    assert [lengths(desk.next()) for _ in range(2)] == [[10, 12, 30], [60]]


def test_the_less_padding_costs_the_nearer_to_their_turn_texts_are_taken(desk: Desk) -> None:
    for price, second in ((0.0, 90), (0.03, 30), (1.0, 11)):
        asked = Version()
        asked.gauge.begin(BatchPolicy(2, 512, 1000.0, call_tokens=1000.0, padding_price=price))
        for length in (10, 90, 60, 30, 11):
            desk.come(asked, length)
        assert lengths(desk.next()) == [10, second]
        while desk.next():
            pass


def test_threads_share_what_waits(desk: Desk) -> None:
    asked = version(items=8)
    for _ in range(4):
        desk.come(asked, 10)
    assert [len(desk.next(threads=2)) for _ in range(4)] == [2, 1, 1, 0]


def test_texts_of_different_versions_are_never_in_one_batch(desk: Desk) -> None:
    one, other = version(), version()
    for asked in (one, other, one, other):
        desk.come(asked, 10)
    for _ in range(2):
        assert len({item.call.version for item in desk.next()}) == 1


def test_a_single_text_overtakes_a_long_list(desk: Desk) -> None:
    asked = version()
    desk.come(asked, *[10] * 64)
    for _ in range(4):
        desk.next()
    single = desk.come(asked, 10)
    assert any(item.call is single for batch in (desk.next(), desk.next()) for item in batch)


def test_long_lists_move_on_together(desk: Desk) -> None:
    asked = version()
    lists = [desk.come(asked, *[10 + number] * 32) for number in range(4)]
    done = dict.fromkeys(lists, 0)
    for _ in range(16):
        for item in desk.next():
            done[item.call] += 1
    assert sum(done.values()) == 64
    assert max(done.values()) - min(done.values()) <= 8, done.values()


def test_an_endless_stream_of_single_texts_does_not_starve_a_list(desk: Desk) -> None:
    asked = version()
    long = desk.come(asked, *[10] * 16)
    for _ in range(8):
        desk.come(asked, 10)
    left, rounds = 16, 0
    while left:
        batch = desk.next()
        for item in batch:
            left -= item.call is long
            if item.call is not long:
                desk.come(asked, 10)
        rounds += 1
        assert rounds < 40, "a list of 16 between 8 single callers is owed a third of what is computed"


def test_callers_who_left_are_let_go_and_leave_nothing_behind(desk: Desk) -> None:
    asked = version(speed=100.0)
    left, stays = desk.come(asked, *[50] * 100), desk.come(asked, 10)
    assert desk.line.seconds == pytest.approx(50.1)
    left.answer.cancel()
    (item,) = desk.next()
    assert item.call is stays
    assert desk.next() == []
    assert (len(desk.line), desk.line.seconds) == (0, 0.0)
