"""The schedules are those of transformers, to the last digit."""

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.hyperparameters import Scheduler
from worker.training.schedulers import SHAPES, factor

THEIRS = {
    "linear": transformers.get_linear_schedule_with_warmup,
    "cosine": transformers.get_cosine_schedule_with_warmup,
}


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (3, 20), (19, 20)])
def test_factors_are_those_of_transformers(kind: Scheduler, warmup: int, total: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = THEIRS[kind](optimizer, warmup, total)
    for step in range(total):
        ours = factor(kind, step, warmup_steps=warmup, total_steps=total)
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_constant_stays_at_the_peak_after_warm_up() -> None:
    factors = [factor("constant", step, warmup_steps=2, total_steps=5) for step in range(5)]
    assert factors == [0.0, 0.5, 1.0, 1.0, 1.0]


@given(
    kind=st.sampled_from(sorted(SHAPES)),
    total=st.integers(1, 500),
    share=st.floats(0, 0.99),
)
def test_rises_then_never_rises_again_within_zero_and_one(kind: Scheduler, total: int, share: float) -> None:
    warmup = int(share * total)
    factors = [factor(kind, step, warmup_steps=warmup, total_steps=total) for step in range(total)]
    assert all(0 <= value <= 1 for value in factors)
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[warmup] == 1.0
