"""The budget of a job as its worker counts it."""

import pytest

from app.schemas.hyperparameters import Hyperparameters
from worker.budget import Budget
from worker.events import PhaseStarted, Stepped, Stopped


class Watch:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def step(number: int) -> Stepped:
    """Report a step."""
    return Stepped(step=number, total_steps=100, epoch=0.0, loss=1.0, learning_rate=0.1)


def budget(watch: Watch, *, spent: float = 0.0, gpus: int = 0, **wishes: float) -> Budget:
    """Make a budget with ten seconds of grace."""
    return Budget(Hyperparameters(**wishes), gpus=gpus, spent=spent, grace=10.0, clock=watch)


def test_only_training_counts_and_earlier_attempts_do(watch: Watch) -> None:
    found = budget(watch, spent=5.0, max_train_seconds=30)
    for phase in ("preparing", "training", "evaluating", "exporting"):
        found.hear(PhaseStarted(phase=phase))
        assert found.training == (phase == "training")
        watch.now += 20
    assert found.spent == 25.0
    assert not found.used_up()


def test_a_process_that_never_looks_is_found_out_after_its_grace(watch: Watch) -> None:
    found = budget(watch, max_train_seconds=30)
    found.hear(PhaseStarted(phase="training"))
    for number, at in ((1, 101), (2, 104), (2, 120)):  # two steps, the longest pause three seconds
        watch.now = at
        found.hear(step(number))
    watch.now = 130
    assert found.used_up() and not found.overrun()
    watch.now = 146
    assert not found.overrun()
    watch.now = 146.1
    assert found.overrun()
    found.hear(Stopped(reason="max_train_seconds", step=2, best_step=2))
    assert not found.overrun()  # it has looked; what is left is putting the best weights back


def test_an_attempt_with_nothing_left_may_still_come_to_its_end(watch: Watch) -> None:
    found = budget(watch, spent=50.0, max_train_seconds=30)
    assert found.began_used_up
    found.hear(PhaseStarted(phase="training"))
    watch.now += 10
    assert not found.overrun()
    watch.now += 0.1
    assert found.overrun()


@pytest.mark.parametrize(("gpus", "limit"), [(1, 20.0), (4, 5.0), (0, 30.0)])
def test_the_limit_for_gpus_holds_on_gpus(watch: Watch, gpus: int, limit: float) -> None:
    assert budget(watch, gpus=gpus, max_train_seconds=30, max_gpu_seconds=20).limit == limit


def test_without_a_limit_nothing_is_ever_used_up(watch: Watch) -> None:
    found = budget(watch, spent=1e9)
    found.hear(PhaseStarted(phase="training"))
    watch.now += 1e9
    assert not found.used_up() and not found.overrun()
