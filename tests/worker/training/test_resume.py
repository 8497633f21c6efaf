"""Every way to train resumes bit by bit: whatever a run has besides its weights is saved, or a function of the step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from app.schemas.metrics import Evaluation
from tests.worker.training.small import judged, never, small_run, texts
from worker.events import Interrupted
from worker.training.events import Step, TrainingEvent
from worker.training.loop import Autocast, Training

STEPS = 14
WAYS: dict[str, dict[str, Any]] = {
    "restarts": {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"T_0": 3, "T_mult": 2}},
    "one-cycle": {"lr_scheduler_type": "one_cycle", "warmup_steps": 4},
    "inverse-sqrt": {"lr_scheduler_type": "inverse_sqrt"},
    "frozen-base": {"freeze_base": True},
    "unfreezing": {"unfreeze_schedule": {"2": 1, "4": "all"}},
    "layers": {"layerwise_lr_decay": 0.5},
    "focal": {"loss": "focal", "focal_gamma": 2.0, "class_weights": {"no": 0.5, "yes": 2.0}},
    "curriculum": {"curriculum": {"num_epochs": 5, "initial_difficulty": 0.4}, "num_train_epochs": 7},
    "distilled": {"distillation": {"teacher": "model:large"}},
    "adafactor": {"optim": "adafactor", "weight_decay": 0.1},
    "polynomial": {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 2.0, "min_lr_ratio": 0.1}},
}


def judge_by_weights(model: nn.Module, _autocast: Autocast) -> Evaluation:
    """Judge by something that depends on every bit of the head, so that a difference is seen."""
    return judged(float(model.get_parameter("classifier.weight").detach().double().sum().sin().abs()))


def run_of(folder: Path, way: dict[str, Any]) -> Training:
    """Twelve rows, windows of two batches of four: two steps an epoch, the second one short; dropout is on."""
    common: dict[str, Any] = {
        "gradient_accumulation_steps": 2,
        "logging_steps": 1,
        "early_stopping_patience": None,
    }
    source = texts(12)
    source.taught = "distillation" in way
    return small_run(
        folder,
        source,
        total_steps=STEPS,
        evaluate=judge_by_weights,
        depths={"embedding.weight": 0, "norm.weight": 1, "norm.bias": 1},
        **common | way,
    )


def stop_after(steps: int) -> Callable[[], bool]:
    """Ask to stop once that many steps were made."""
    calls = iter(range(steps))
    return lambda: next(calls, None) is None


def curve(events: list[TrainingEvent]) -> list[Any]:
    """Give what must not depend on an interruption: everything but times."""
    return [
        (event.step, event.loss, event.learning_rate, event.grad_norm, event.values)
        if isinstance(event, Step)
        else event
        for event in events
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, way: str, steps: int) -> None:
    whole = run_of(tmp_path / "whole", WAYS[way])
    expected = list(whole.run(never))

    first = run_of(tmp_path / "first", WAYS[way])
    before: list[TrainingEvent] = []
    with pytest.raises(Interrupted):
        for event in first.run(stop_after(steps)):
            before.append(event)  # noqa: PERF402 - what came before the interruption counts
    first.save(tmp_path / "checkpoint", fingerprint="spec")

    second = run_of(tmp_path / "second", WAYS[way])
    torch.manual_seed(99)
    second.resume(tmp_path / "checkpoint", fingerprint="spec")
    after = list(second.run(never))

    assert curve(before + after) == curve(expected)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_another_run(tmp_path: Path, way: str) -> None:
    """Else the test above would compare nothing."""
    plain, changed = run_of(tmp_path / "plain", {}), run_of(tmp_path / "changed", WAYS[way])
    for training in (plain, changed):
        list(training.run(never))
    assert any(
        not torch.equal(value, changed.model.state_dict()[name]) for name, value in plain.model.state_dict().items()
    )
