"""Callers who come back: waited for only where they ask again at once, and no longer than that takes."""

from dataclasses import replace

import pytest

from app.serving.policy import BatchPolicy
from app.serving.returning import AROUND_SECONDS, ENOUGH_CAME_BACK, PART_OF_BATCH, PATIENCE, Returning
from app.serving.waiting import Gauge

POLICY = BatchPolicy(items=8, padding_price=0.1)


def gauge(text_seconds: float = 0.002, policy: BatchPolicy = POLICY) -> Gauge:
    """Be a model that takes so long for a text, slow enough for two threads."""
    return Gauge(text_seconds=text_seconds, policy=policy)


def play(returning: Returning, callers: int, gap: float, rounds: int = 100) -> float:
    """Let all callers be answered at once and ask again, one every ``gap`` seconds; gives the time after it."""
    now = 0.0
    for _ in range(rounds):
        returning.begin(callers)
        now += 0.01
        returning.end(callers, 0, gauge(), now)
        for _ in range(callers):
            now += gap
            returning.come(now)
    return now


def test_a_thread_waits_for_callers_who_ask_again_at_once_until_it_has_its_part_of_them() -> None:
    returning = Returning(2)
    returning.begin(4)
    assert returning.end(4, 4, gauge(), 1.0) == 0.0, "nobody knows them yet"
    now = play(returning, 8, AROUND_SECONDS)
    assert returning.fair_part(0, now) == 0
    returning.begin(4)
    returning.begin(3)
    until = returning.end(4, 0, gauge(), now)
    assert until == pytest.approx(now + PATIENCE * AROUND_SECONDS * 7)
    assert returning.fair_part(0, now) == 4, "seven are in sight"
    for _ in range(4):
        returning.come(now)
    assert returning.fair_part(4, now) == 4, "three are computed still"


def test_who_stays_away_is_not_expected_any_longer() -> None:
    returning = Returning(2)
    now = play(returning, 8, AROUND_SECONDS)
    returning.begin(8)
    until = returning.end(8, 0, gauge(), now)
    returning.come(until)
    assert returning.fair_part(1, until) == 4
    assert returning.fair_part(1, until + 1e-6) == 1


def test_callers_of_a_slow_model_do_not_hide_that_others_stay_away() -> None:
    returning = Returning(2)
    now = play(returning, 8, AROUND_SECONDS)
    returning.begin(4)
    returning.end(4, 0, gauge(0.05), now)
    returning.begin(4)
    until = returning.end(4, 0, gauge(), now)
    assert returning.fair_part(0, until) == 4
    assert returning.fair_part(0, until + 1e-6) == 2


def test_the_slower_a_model_the_longer_callers_may_take() -> None:
    returning = Returning(2)
    now = play(returning, 8, AROUND_SECONDS)
    returning.begin(8)
    assert returning.end(8, 0, gauge(0.05), now) == pytest.approx(now + PART_OF_BATCH * 0.05 * 4)


def test_callers_who_take_their_time_are_not_waited_for() -> None:
    returning = Returning(2)
    play(returning, 8, AROUND_SECONDS)
    now = play(returning, 8, 3 * AROUND_SECONDS)
    assert returning.came_back < ENOUGH_CAME_BACK
    returning.begin(8)
    assert returning.end(8, 0, gauge(), now) == 0.0


def test_those_who_send_lists_are_expected_by_nobody() -> None:
    returning = Returning(2)
    now = play(returning, 8, AROUND_SECONDS)
    returning.begin(0)
    assert returning.end(0, 6, gauge(), now) == 0.0
    assert returning.fair_part(6, now) == 3
    assert returning.fair_part(0, now) == 0


@pytest.mark.parametrize(
    ("waiting", "version", "is_waited_for"),
    [
        (2, gauge(), False),
        (3, gauge(), True),
        (15, gauge(), True),
        (16, gauge(), False),
        (7, gauge(0.001), False),
        (7, gauge(0.0), False),
        (7, gauge(policy=replace(POLICY, padding_price=0.9)), False),
    ],
)
def test_it_is_for_two_texts_a_thread_no_crowd_no_quick_models_and_cheap_padding(
    waiting: int, version: Gauge, is_waited_for: bool
) -> None:
    returning = Returning(2)
    now = play(returning, 8, AROUND_SECONDS)
    returning.begin(1)
    assert (returning.end(1, waiting, version, now) > now) is is_waited_for


def test_many_threads_wait_only_with_slow_texts_as_all_callers_pass_one_event_loop() -> None:
    returning = Returning(16)
    now = play(returning, 64, AROUND_SECONDS)
    returning.begin(4)
    assert returning.end(4, 60, gauge(), now) == 0.0
    returning.begin(4)
    assert returning.end(4, 60, gauge(0.009), now) > now
