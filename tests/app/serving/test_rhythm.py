"""The rhythm: threads begin together only where callers ask again at once, and wait no longer than that takes."""

import pytest

from app.serving.rhythm import AROUND_SECONDS, ENOUGH_CAME_BACK, PATIENCE, Rhythm

SLOW = 0.003
"""Seconds a text, slow enough for two threads."""


def play(rhythm: Rhythm, callers: int, gap: float, rounds: int = 100) -> float:
    """Let all callers be answered at once and ask again, one every ``gap`` seconds; gives the time after it."""
    now = 0.0
    for _ in range(rounds):
        rhythm.begin(callers)
        now += 0.01
        rhythm.end(callers, callers, 0, now)
        for _ in range(callers):
            now += gap
            rhythm.come(now)
    return now


def test_callers_who_ask_again_at_once_are_waited_for_until_all_have() -> None:
    rhythm = Rhythm(2)
    assert not rhythm.is_kept(8, 8, SLOW), "nobody knows them yet"
    now = play(rhythm, 8, AROUND_SECONDS)
    assert rhythm.is_kept(8, 8, SLOW)
    assert (rhythm.expected, rhythm.computing, rhythm.pause(now)) == (0, 0, 0.0)
    rhythm.begin(8)
    rhythm.end(4, 4, 0, now)
    assert rhythm.pause(now) == pytest.approx(PATIENCE * AROUND_SECONDS * 8)
    for _ in range(4):
        rhythm.come(now)
    assert rhythm.pause(now) > 0, "the other thread still computes"
    rhythm.end(4, 4, 4, now)
    assert rhythm.pause(now) > 0, "its callers are expected too"
    late = now + 1.01 * PATIENCE * AROUND_SECONDS * 8
    assert rhythm.pause(late) == rhythm.expected == 0, "they have stayed away"


def test_callers_who_take_their_time_are_not() -> None:
    rhythm = Rhythm(2)
    play(rhythm, 8, AROUND_SECONDS)
    play(rhythm, 8, 3 * AROUND_SECONDS)
    assert rhythm.came_back < ENOUGH_CAME_BACK
    assert not rhythm.is_kept(8, 8, SLOW)


def test_lists_are_expected_by_nobody() -> None:
    rhythm = Rhythm(2)
    rhythm.begin(8)
    rhythm.end(8, 0, 0, 1.0)
    assert (rhythm.expected, rhythm.pause(1.0)) == (0, 0.0)


@pytest.mark.parametrize(
    ("waiting", "seconds", "kept"),
    [(3, SLOW, False), (4, SLOW, True), (16, SLOW, True), (17, SLOW, False), (8, 0.001, False), (8, 0.0, False)],
)
def test_it_is_for_more_texts_than_threads_no_crowd_and_no_quick_models(
    waiting: int, seconds: float, kept: bool
) -> None:
    rhythm = Rhythm(2)
    play(rhythm, 8, AROUND_SECONDS)
    assert rhythm.is_kept(waiting, 8, seconds) is kept


def test_many_threads_keep_it_only_with_slow_texts_as_all_callers_pass_one_event_loop() -> None:
    rhythm = Rhythm(16)
    play(rhythm, 64, AROUND_SECONDS)
    assert not rhythm.is_kept(64, 8, SLOW)
    assert rhythm.is_kept(64, 8, 4 * SLOW)
