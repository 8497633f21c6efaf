"""Curves on both databases: batches, overlapping attempts, thinning."""

from itertools import pairwise
from typing import Any

import pytest

from app.store import jobs, metrics


def write(store: Any, claim: Any, name: str, values: dict[int, float]) -> None:
    points = [jobs.Point(name, step, step / 10, value) for step, value in values.items()]
    assert store.do(jobs.record, claim, jobs.Recorded(points=points))


def curve(store: Any, claim: Any, **wishes: Any) -> list[tuple[str, int, float]]:
    return [(point.name, point.step, point.value) for point in store.do(metrics.history, claim.job_id, **wishes)]


def test_curves_come_by_name_and_step(store: Any) -> None:
    claim = store.running()
    write(store, claim, "train/loss", {2: 0.5, 1: 1.0})
    write(store, claim, "eval/loss", {2: 0.7})
    other = store.running()
    write(store, other, "train/loss", {1: 9.0})
    assert curve(store, claim) == [("eval/loss", 2, 0.7), ("train/loss", 1, 1.0), ("train/loss", 2, 0.5)]
    assert curve(store, claim, names=["eval/loss"]) == [("eval/loss", 2, 0.7)]
    assert curve(store, claim, names=[]) == [] and curve(store, claim, names=["no"]) == []
    assert store.do(metrics.names, claim.job_id) == ["eval/loss", "train/loss"]


def test_a_point_told_twice_is_one_point(store: Any) -> None:
    claim = store.running()
    write(store, claim, "train/loss", {1: 1.0, 2: 2.0})
    write(store, claim, "train/loss", {2: 3.0})
    assert curve(store, claim) == [("train/loss", 1, 1.0), ("train/loss", 2, 3.0)]


def test_where_attempts_overlap_the_newest_speaks(store: Any) -> None:
    first = store.running()
    write(store, first, "train/loss", {1: 1.0, 2: 2.0, 3: 3.0})
    store.do(jobs.release, first, crashed=True, reason="r")
    second = store.claim(first.job_id)
    write(store, second, "train/loss", {2: 20.0})
    assert curve(store, first) == [("train/loss", 1, 1.0), ("train/loss", 2, 20.0), ("train/loss", 3, 3.0)]


def test_the_newest_points_are_those_of_the_newest_attempt(store: Any) -> None:
    first = store.running()
    write(store, first, "train/loss", {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0})
    write(store, first, "eval/loss", {4: 9.0})
    store.do(jobs.release, first, crashed=True, reason="r")
    second = store.claim(first.job_id)
    write(store, second, "train/loss", {2: 20.0, 3: 30.0})

    def newest(most: int) -> list[tuple[int, float]]:
        found = store.do(metrics.newest, first.job_id, most)
        assert [(point.step, point.value) for point in found if point.name == "eval/loss"] == [(4, 9.0)]
        return [(point.step, point.value) for point in found if point.name == "train/loss"]

    assert [newest(most) for most in (1, 2, 3)] == [
        [(3, 30.0)],
        [(2, 20.0), (3, 30.0)],
        [(2, 20.0), (3, 30.0), (4, 4.0)],
    ]
    whole = [(step, value) for name, step, value in curve(store, first) if name == "train/loss"]
    assert newest(4) == newest(99) == whole == [(1, 1.0), (2, 20.0), (3, 30.0), (4, 4.0)]


@pytest.mark.parametrize(("points", "most"), [(1, 5), (2, 2), (5, 5), (6, 5), (100, 7), (101, 2), (97, 1), (1000, 100)])
def test_thinning_is_even_and_keeps_both_ends(store: Any, points: int, most: int) -> None:
    claim = store.running()
    write(store, claim, "long", {10 * step: float(step) for step in range(points)})
    write(store, claim, "short", {5: 1.0})
    thinned = curve(store, claim, max_points=most)
    steps = [step // 10 for name, step, _ in thinned if name == "long"]
    assert len(steps) == min(points, max(2, most))
    assert steps[0] == 0 and steps[-1] == points - 1
    gaps = [after - before for before, after in pairwise(steps)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert ("short", 5, 1.0) in thinned


def test_an_outline_is_short_and_keeps_what_is_lowest_and_highest(store: Any) -> None:
    claim = store.running()
    noisy = dict.fromkeys(range(1, 401), 1.0) | {7: -3.0, 8: -3.0, 333: 9.0}
    write(store, claim, "long", noisy)
    write(store, claim, "short", {5: 1.0, 6: 2.0})
    long, short = store.do(metrics.outlines, claim.job_id, 10)
    assert (long.name, long.recorded, len(long.points)) == ("long", 400, 12)
    assert [point.step for point in long.points] == sorted(point.step for point in long.points)
    ends = {(point.step, point.value) for point in long.points if point.value != 1.0}
    assert ends == {(7, -3.0), (333, 9.0)}
    assert (short.recorded, [point.value for point in short.points]) == (2, [1.0, 2.0])


def test_an_outline_tells_what_the_newest_attempt_said(store: Any) -> None:
    first = store.running()
    write(store, first, "long", {step: float(step) for step in range(1, 101)} | {50: 500.0})
    store.do(jobs.release, first, crashed=True, reason="r")
    write(store, store.claim(first.job_id), "long", {50: 5.0})
    (long,) = store.do(metrics.outlines, first.job_id, 4)
    assert (long.recorded, {point.step: point.value for point in long.points}[50]) == (100, 5.0)
