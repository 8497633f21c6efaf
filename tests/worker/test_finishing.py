"""Ending training early: the client's wish and the budgets, over several attempts."""

import pytest

from app.schemas.hyperparameters import Hyperparameters
from worker.finishing import Finish


class Watch:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_budget_counts_what_earlier_attempts_saved(watch: Watch) -> None:
    finish = Finish(Hyperparameters(max_train_seconds=10), gpus=0, asked=lambda: False, clock=watch)
    watch.now += 50  # preparing
    finish.begin(spent=7.0)
    watch.now += 2.9
    assert finish() is None
    watch.now += 0.2
    assert finish() == "max_train_seconds"
    assert finish.spent == pytest.approx(10.1)


@pytest.mark.parametrize(("gpus", "reason"), [(1, "max_gpu_seconds"), (0, None)])
def test_gpu_seconds_pass_on_a_gpu_only(watch: Watch, gpus: int, reason: str | None) -> None:
    finish = Finish(Hyperparameters(max_gpu_seconds=10), gpus=gpus, asked=lambda: False, clock=watch)
    watch.now += 11
    assert finish() == reason


def test_a_client_who_asks_is_the_reason(watch: Watch) -> None:
    asked = False
    finish = Finish(Hyperparameters(max_train_seconds=10), gpus=0, asked=lambda: asked, clock=watch)
    assert finish() is None
    asked = True
    watch.now += 11
    assert finish() == "stopped"
