"""The accuracy on the rows as they are learned from: counted by hand, over windows, tasks and interruptions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.worker.training.small import Small, never, small_run, texts, wishes
from worker.events import Interrupted
from worker.heads import Head
from worker.training.events import Step
from worker.training.meter import Meter
from worker.training.objective import objective

CPU = torch.device("cpu")


def accuracies(events: list[Any]) -> dict[int, float]:
    return {event.step: event.values["accuracy"] for event in events if isinstance(event, Step) and event.logged}


def frozen_run(folder: Path, **changes: Any) -> Any:
    """A run that learns next to nothing and drops nothing, so that its answers can be foretold."""
    torch.manual_seed(0)
    return small_run(
        folder,
        texts(10),
        model=Small(dropout=0.0),
        learning_rate=1e-12,
        gradient_accumulation_steps=changes.pop("gradient_accumulation_steps", 1),
        **changes,
    )


@torch.no_grad()
def share_right(training: Any) -> float:
    source = texts(10)
    batch = source.load(source.plan(10, seed=0, epoch=0)[0])
    right = training.model(**batch.inputs).logits.argmax(-1) == batch.labels
    return float(right.float().mean())


@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_epoch_counts_every_row_once(tmp_path: Path, accumulation: int) -> None:
    """Ten rows in batches of four, four and two: no mean of means."""
    steps = 3 // accumulation + 3 % accumulation  # an epoch
    training = frozen_run(
        tmp_path, total_steps=2 * steps, logging_steps=steps, gradient_accumulation_steps=accumulation
    )
    expected = share_right(training)
    assert 0 < expected < 1
    found = accuracies(list(training.run(never)))
    # The first step always has a point of its own, so that only the second epoch is one point.
    assert found[2 * steps] == pytest.approx(expected)


def test_it_rises_as_the_rows_are_learned(tmp_path: Path) -> None:
    found = accuracies(list(small_run(tmp_path, texts(32), total_steps=80, learning_rate=0.05).run(never)))
    assert found[80] == 1.0 > found[5]


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_resumed_run_goes_on_counting(tmp_path: Path, stop: int) -> None:
    expected = accuracies(list(small_run(tmp_path / "whole", texts(12)).run(never)))
    first = small_run(tmp_path / "first", texts(12))
    calls = iter(range(stop))
    with pytest.raises(Interrupted):
        list(first.run(lambda: next(calls, None) is None))
    first.save(tmp_path / "saved", fingerprint="same")
    second = small_run(tmp_path / "second", texts(12))
    second.resume(tmp_path / "saved", fingerprint="same")
    later = accuracies(list(second.run(never)))
    assert later and later == {step: value for step, value in expected.items() if step > stop}


def test_rows_with_several_labels_must_be_right_in_all() -> None:
    loss = objective(wishes(), ["no", "yes"], CPU, problem_type="multi_label", heads=())
    logits = torch.tensor([[2.0, -1.0], [2.0, 1.0], [-3.0, -0.1]])
    assert int(loss.hits(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))) == 2


def test_each_row_is_judged_by_its_own_task() -> None:
    heads = [Head("one", ("no", "yes")), Head("two", ("a", "b", "c"), start=2)]
    loss = objective(wishes(), ["no", "yes"], CPU, problem_type="single_label", heads=heads)
    logits = torch.tensor([[1.0, 0.0, 9.0, 9.0, 9.0], [9.0, 9.0, 0.0, 1.0, 0.5], [9.0, 0.0, 0.0, 1.0, 0.5]])
    assert int(loss.hits(logits, torch.tensor([0, 3, 4]))) == 2


def test_nothing_waits_for_the_device_between_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Tensor) -> Any:
        raise AssertionError("waits for the device")

    meter = Meter(CPU)
    hits = torch.tensor(3)
    for name in ("__int__", "__float__", "__bool__", "item", "tolist"):
        monkeypatch.setattr(Tensor, name, refuse)
    meter.add(torch.tensor(0.5), torch.tensor(1.0), hits=hits, examples=4, step=1)
    monkeypatch.undo()
    meter.due(1, 1, 2)
    assert meter.read().accuracy == 0.75
