"""Every learning rate schedule against its definition: torch's own scheduler, transformers' own, or the formula."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.schemas.schedules import Scheduler, SchedulerOptions
from worker.training.schedulers import Schedule

PEAK = 3e-4
RUNS = [(0, 7), (3, 20), (19, 20), (0, 1), (50, 400)]


def ours(kind: Scheduler, warmup: int, total: int, **options: Any) -> list[float]:
    schedule = Schedule(kind, SchedulerOptions(**options), warmup_steps=warmup, total_steps=total)
    return [schedule.factor(step) for step in range(total)]


def theirs(make: Callable[[torch.optim.Optimizer], Any], total: int, *, peak: float = PEAK) -> list[float]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = make(optimizer)
    factors = []
    for _ in range(total):
        factors.append(scheduler.get_last_lr()[0] / peak)
        optimizer.step()
        scheduler.step()
    return factors


def same(left: list[float], right: list[float]) -> bool:
    return left == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize(("warmup", "total"), RUNS)
def test_linear_is_that_of_transformers(warmup: int, total: int) -> None:
    expected = theirs(lambda it: transformers.get_linear_schedule_with_warmup(it, warmup, total), total)
    assert same(ours("linear", warmup, total), expected)


@pytest.mark.parametrize("kind", ["cosine", "linear_warmup_cosine"])
@pytest.mark.parametrize(("warmup", "total"), RUNS)
def test_cosine_by_either_name_is_that_of_transformers(kind: Scheduler, warmup: int, total: int) -> None:
    expected = theirs(lambda it: transformers.get_cosine_schedule_with_warmup(it, warmup, total), total)
    assert same(ours(kind, warmup, total), expected)


@pytest.mark.parametrize(("warmup", "total"), RUNS)
def test_cosine_with_a_floor_is_that_of_transformers(warmup: int, total: int) -> None:
    make = transformers.optimization.get_cosine_with_min_lr_schedule_with_warmup
    expected = theirs(lambda it: make(it, warmup, total, min_lr_rate=0.1), total)
    assert same(ours("cosine", warmup, total, min_lr_ratio=0.1), expected)


@pytest.mark.parametrize(("warmup", "total"), RUNS)
@pytest.mark.parametrize(("power", "floor"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.01)])
def test_polynomial_is_that_of_transformers(warmup: int, total: int, power: float, floor: float) -> None:
    make = transformers.get_polynomial_decay_schedule_with_warmup
    expected = theirs(lambda it: make(it, warmup, total, lr_end=floor * PEAK, power=power), total)
    assert same(ours("polynomial", warmup, total, power=power, min_lr_ratio=floor), expected)


@pytest.mark.parametrize(("warmup", "total"), RUNS)
@pytest.mark.parametrize("timescale", [None, 40])
def test_inverse_sqrt_is_that_of_transformers(warmup: int, total: int, timescale: int | None) -> None:
    make = transformers.get_inverse_sqrt_schedule
    expected = theirs(lambda it: make(it, warmup, timescale=timescale), total)
    assert same(ours("inverse_sqrt", warmup, total, timescale=timescale), expected)


@pytest.mark.parametrize(("warmup", "total"), RUNS)
def test_constant_is_that_of_transformers(warmup: int, total: int) -> None:
    expected = theirs(lambda it: transformers.get_constant_schedule_with_warmup(it, warmup), total)
    assert same(ours("constant", warmup, total), expected)


@pytest.mark.parametrize(("first", "growth"), [(1000, 2), (10, 1), (7, 2), (5, 3), (1, 1), (3, 2)])
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_restarts_are_those_of_torch(first: int, growth: int, floor: float) -> None:
    make = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts
    expected = theirs(lambda it: make(it, T_0=first, T_mult=growth, eta_min=floor * PEAK), 300)
    assert same(ours("cosine_with_restarts", 0, 300, T_0=first, T_mult=growth, min_lr_ratio=floor), expected)


def test_restarts_begin_after_the_warm_up() -> None:
    factors = ours("cosine_with_restarts", 4, 24, T_0=10)
    assert factors[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert factors[14] == 1.0
    assert factors[9] == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@example(total=4, pct_start=0.25, strategy="cos", div=25.0, final=1e4, three_phase=False)
@given(
    total=st.integers(4, 300),
    pct_start=st.floats(0.02, 0.48),
    strategy=st.sampled_from(["cos", "linear"]),
    div=st.floats(1.5, 100),
    final=st.floats(1.5, 1e5),
    three_phase=st.booleans(),
)
def test_one_cycle_is_that_of_torch(
    total: int, pct_start: float, strategy: Any, div: float, final: float, three_phase: bool
) -> None:
    options = {
        "pct_start": pct_start,
        "anneal_strategy": strategy,
        "div_factor": div,
        "final_div_factor": final,
        "three_phase": three_phase,
    }
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    mine = Schedule("one_cycle", SchedulerOptions(**options), warmup_steps=0, total_steps=total)
    ends = [pct_start * total - 1, 2 * pct_start * total - 2]
    # A first phase of no length makes torch divide by zero; in short runs its phases end before they begin.
    comparable = ends[0] != 0 and (not three_phase or ends[0] <= ends[1])
    scheduler = (
        torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=total, **options) if comparable else None
    )
    for step in range(total):
        if scheduler is not None:
            assert mine.factor(step) == pytest.approx(scheduler.get_last_lr()[0] / PEAK, abs=1e-9)
            assert mine.beta1(step) == pytest.approx(optimizer.param_groups[0]["betas"][0], abs=1e-9)
        assert 0 <= mine.factor(step) <= 1
        optimizer.step()
        if scheduler is not None and step < total - 1:
            scheduler.step()


def test_one_cycle_by_default_is_that_of_torch_and_not_a_warm_up_from_zero() -> None:
    """It begins at a 25th of the peak and moves the first beta against the rate."""
    mine = Schedule("one_cycle", SchedulerOptions(), warmup_steps=0, total_steps=100)
    assert mine.factor(0) == pytest.approx(1 / 25)
    assert mine.factor(29) == 1.0
    assert mine.factor(99) == pytest.approx(1 / 25 / 1e4)
    assert (mine.beta1(0), mine.beta1(29), mine.beta1(99)) == pytest.approx((0.95, 0.85, 0.95))


def test_momentum_stays_where_it_is_without_a_cycle_of_its_own() -> None:
    assert Schedule("one_cycle", SchedulerOptions(cycle_momentum=False), warmup_steps=0, total_steps=9).beta1(3) is None
    assert Schedule("linear", SchedulerOptions(), warmup_steps=0, total_steps=9).beta1(3) is None


@settings(deadline=None)
@given(
    kind=st.sampled_from(["linear", "cosine", "polynomial", "inverse_sqrt", "constant"]),
    total=st.integers(1, 500),
    share=st.floats(0, 0.99),
)
def test_rises_in_a_line_to_the_peak_and_never_rises_again(kind: Scheduler, total: int, share: float) -> None:
    warmup = int(share * total)
    factors = ours(kind, warmup, total)
    assert all(0 <= value <= 1 for value in factors)
    assert factors[:warmup] == [step / warmup for step in range(warmup)]
    assert factors[warmup] == 1.0
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_inverse_sqrt_by_its_formula() -> None:
    factors = ours("inverse_sqrt", 0, 30, timescale=10)
    assert factors == pytest.approx([math.sqrt(10 / (10 + step)) for step in range(30)])
