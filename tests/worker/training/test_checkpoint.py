"""Checkpoints: a resumed run is the uninterrupted one to the last bit, and a damaged file is never used."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from app.errors import JobFailure
from app.schemas.metrics import Evaluation
from tests.worker.training.small import judged, never, small_run, texts
from worker.events import Interrupted
from worker.training.checkpoint import load_weights, save_weights, write_tensors
from worker.training.events import Evaluated, Step, TrainingEvent
from worker.training.loop import Autocast, Training

STEPS = 14


def judge_by_weights(model: nn.Module, _autocast: Autocast) -> Evaluation:
    """Judge by something that depends on every bit of the head, so that a difference is seen."""
    return judged(float(model.get_parameter("classifier.weight").detach().double().sum().sin().abs()))


def run_of(folder: Path, precision: str = "fp32", evaluate: Any = judge_by_weights) -> Training:
    """Twelve rows, windows of two batches of four: two steps an epoch, the second one short; dropout is on."""
    return small_run(
        folder,
        texts(12),
        total_steps=STEPS,
        evaluate=evaluate,
        gradient_accumulation_steps=2,
        lr_scheduler_type="cosine",
        logging_steps=3,
        precision=precision,
        early_stopping_patience=None,
    )


def stop_after(steps: int) -> Callable[[], bool]:
    """Ask to stop once that many steps were made."""
    calls = iter(range(steps))
    return lambda: next(calls, None) is None


def facts(events: list[TrainingEvent]) -> list[Any]:
    """Give all but what depends on the clock."""
    plain = [
        replace(event, examples_per_second=0, eta_seconds=0) if isinstance(event, Step) else event for event in events
    ]
    return [event for event in plain if not isinstance(event, Step) or event.logged]


def disturb_generators() -> None:
    """Another process: its generators stand elsewhere."""
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("steps", [0, 1, 5, 6, 13])
def test_resumed_run_equals_the_uninterrupted_one_bit_by_bit(tmp_path: Path, steps: int, precision: str) -> None:
    whole = run_of(tmp_path / "whole", precision)
    expected = list(whole.run(never))

    first = run_of(tmp_path / "first", precision)
    before: list[TrainingEvent] = []
    with pytest.raises(Interrupted):
        for event in first.run(stop_after(steps)):
            before.append(event)  # noqa: PERF402 - what came before the interruption counts
    first.save(tmp_path / "checkpoint", fingerprint="spec")

    second = run_of(tmp_path / "second", precision)
    disturb_generators()
    second.resume(tmp_path / "checkpoint", fingerprint="spec")
    after = list(second.run(never))

    assert facts(before + after) == facts(expected)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name


def test_evaluation_that_was_interrupted_is_made_up_for(tmp_path: Path) -> None:
    expected = [event for event in run_of(tmp_path / "whole").run(never) if isinstance(event, Evaluated)]

    def interrupted(_model: nn.Module, _autocast: Autocast) -> Evaluation:
        raise Interrupted

    first = run_of(tmp_path / "first", evaluate=interrupted)
    with pytest.raises(Interrupted):
        list(first.run(never))
    first.save(tmp_path / "checkpoint", fingerprint="spec")
    second = run_of(tmp_path / "second")
    second.resume(tmp_path / "checkpoint", fingerprint="spec")
    assert [event for event in second.run(never) if isinstance(event, Evaluated)] == expected


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    training = run_of(tmp_path / "run")
    with pytest.raises(Interrupted):
        list(training.run(stop_after(4)))
    training.save(tmp_path / "checkpoint", fingerprint="spec")
    return tmp_path / "checkpoint"


@pytest.mark.parametrize(
    "file",
    ["model.safetensors", "optimizer.safetensors", "generators.safetensors", "best.safetensors", "state.json"],
)
def test_one_flipped_bit_is_refused_and_changes_nothing(tmp_path: Path, checkpoint: Path, file: str) -> None:
    content = bytearray((checkpoint / file).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / file).write_bytes(content)
    training = run_of(tmp_path / "second")
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    with pytest.raises(JobFailure) as caught:
        training.resume(checkpoint, fingerprint="spec")
    assert caught.value.code == "damaged-checkpoint"
    assert not caught.value.final
    assert all(torch.equal(training.model.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("damage", ["cut", "gone", "no-manifest", "broken-manifest", "extra"])
def test_torn_checkpoints_are_refused(tmp_path: Path, checkpoint: Path, damage: str) -> None:
    match damage:
        case "cut":
            file = checkpoint / "model.safetensors"
            file.write_bytes(file.read_bytes()[:-10])
        case "gone":
            (checkpoint / "optimizer.safetensors").unlink()
        case "no-manifest":
            (checkpoint / "manifest.json").unlink()
        case "broken-manifest":
            (checkpoint / "manifest.json").write_text("{")
        case "extra":
            (checkpoint / "extra.bin").write_bytes(b"?")
    with pytest.raises(JobFailure, match="checkpoint"):
        run_of(tmp_path / "second").resume(checkpoint, fingerprint="spec")


def test_checkpoint_of_another_job_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(JobFailure, match="another job"):
        run_of(tmp_path / "second").resume(checkpoint, fingerprint="other")


def test_a_place_counted_in_other_batches_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    training = small_run(tmp_path / "second", texts(12), batch_size=2, gradient_accumulation_steps=4)
    with pytest.raises(JobFailure, match="another size"):
        training.resume(checkpoint, fingerprint="spec")


def test_leftovers_of_a_killed_save_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.part").mkdir()
    (tmp_path / ".checkpoint.part" / "model.safetensors").write_bytes(b"half")
    training = run_of(tmp_path / "run")
    with pytest.raises(Interrupted):
        list(training.run(stop_after(2)))
    training.save(tmp_path / "checkpoint", fingerprint="spec")
    run_of(tmp_path / "second").resume(tmp_path / "checkpoint", fingerprint="spec")
    assert not (tmp_path / ".checkpoint.part").exists()


def test_tied_weights_go_round(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    expected = model[0].weight.detach().clone()
    save_weights(model, tmp_path / "weights")
    with torch.no_grad():
        model[0].weight.zero_()
    load_weights(model, tmp_path / "weights")
    assert torch.equal(model[1].weight, expected)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_tensors({"old": torch.ones(3)}, tmp_path / "tensors")
    (tmp_path / ".tensors.part").mkdir()  # in the way: writing must fail
    with pytest.raises(SafetensorError):
        write_tensors({"new": torch.ones(3)}, tmp_path / "tensors")
    assert b"old" in (tmp_path / "tensors").read_bytes()
