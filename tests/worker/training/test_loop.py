"""The loop on a model of two hundred weights: what it computes, when it evaluates, how it ends."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from app.errors import JobFailure
from tests.worker.training.small import Small, Texts, never, scripted, small_run, texts
from worker.events import Interrupted
from worker.training.events import Evaluated, SaveDue, Split, Step, Stopped, TrainingEvent
from worker.training.loop import Training


def weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def of(events: Sequence[TrainingEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("class_weights", ["none", {"no": 0.3, "yes": 4.0}])
def test_accumulated_steps_are_the_steps_of_the_big_batch(tmp_path: Path, class_weights: Any) -> None:
    """Seven rows: a window of two batches of three, and a last one of a single row."""
    big = texts(7, order=[range(6), [6]])
    parts = texts(7, order=[[0, 1, 2], [3, 4, 5], [6]])
    results = []
    for source, accumulation in ((big, 1), (parts, 2)):
        training = small_run(
            tmp_path,
            source,
            model=Small(dropout=0.0),
            total_steps=2,
            warmup_steps=0,
            class_weights=class_weights,
            label_smoothing_factor=0.1,
            gradient_accumulation_steps=accumulation,
        )
        torch.manual_seed(0)
        training.model.load_state_dict(Small(dropout=0.0).state_dict())
        [*_, stopped] = training.run(never)
        assert stopped.step == 2
        results.append(weights(training))
    for name, expected in results[0].items():
        assert torch.allclose(results[1][name], expected, atol=1e-6), name


def test_learns_and_counts(tmp_path: Path) -> None:
    events = list(small_run(tmp_path, texts(32), total_steps=80, learning_rate=0.05).run(never))
    steps = [event for event in of(events, Step) if event.logged]
    assert [step.step for step in steps] == [1, *range(5, 81, 5)]
    assert steps[-1].epoch == 10.0
    assert steps[-1].loss < 0.1 < steps[0].loss
    assert steps[-1].eta_seconds == 0
    assert all(step.examples_per_second > 0 and step.grad_norm is not None for step in steps)
    assert events[-1] == Stopped("completed", 80, 80)


def test_each_epoch_is_planned_once_and_rows_come_once(tmp_path: Path) -> None:
    source = texts(10)
    list(small_run(tmp_path, source, total_steps=9).run(never))
    assert source.planned == [0, 1, 2, 3]
    for epoch in range(3):
        rows = [row for batch in source.plan(4, seed=42, epoch=epoch) for row in batch]
        assert sorted(rows) == list(range(10))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [3, 6, 8]),  # twelve rows in batches of four: three steps an epoch
        ({"eval_strategy": "steps", "eval_steps": 4}, [4, 8]),
        ({"eval_strategy": "steps", "eval_steps": 5}, [5, 8]),
        ({"eval_strategy": "steps", "eval_steps": 100}, [8]),
    ],
)
def test_evaluates_when_asked_and_always_at_the_end(tmp_path: Path, changes: Any, expected: list[int]) -> None:
    training = small_run(tmp_path, texts(12), total_steps=8, evaluate=scripted([0.1] * 9), **changes)
    assert [event.step for event in of(list(training.run(never)), Evaluated)] == expected


def test_stops_early_and_puts_the_best_weights_back(tmp_path: Path) -> None:
    training = small_run(
        tmp_path, texts(12), total_steps=60, evaluate=scripted([0.3, 0.7, 0.7, 0.6]), early_stopping_patience=2
    )
    at_evaluation = {}
    events = []
    for event in training.run(never):
        events.append(event)
        if isinstance(event, Evaluated):
            at_evaluation[event.step] = weights(training)
    assert [(event.value, event.improved) for event in of(events, Evaluated)] == [
        (0.3, True),
        (0.7, True),
        (0.7, False),
        (0.6, False),
    ]
    assert events[-1] == Stopped("early_stopping", 12, 6)
    final = weights(training)
    assert all(torch.equal(final[name], value) for name, value in at_evaluation[6].items())
    assert any(not torch.equal(final[name], value) for name, value in at_evaluation[12].items())


def test_max_steps_names_itself_as_the_reason(tmp_path: Path) -> None:
    [*_, stopped] = small_run(tmp_path, texts(12), total_steps=4, max_steps=4).run(never)
    assert stopped == Stopped("max_steps", 4, 4)


def test_cut_short_it_evaluates_and_puts_the_best_weights_back(tmp_path: Path) -> None:
    """As scripted: the second of two evaluations is the better one, of a step at which none was due."""
    training = small_run(tmp_path, texts(32), total_steps=80, eval_steps=5, evaluate=scripted([0.5, 0.9]))
    reasons = iter([None] * 6 + ["stopped"])
    events = list(training.run(never, lambda: next(reasons)))
    assert [event.step for event in of(events, Evaluated)] == [5, 7]
    assert events[-1] == Stopped("stopped", 7, 7)


def test_at_least_one_step_is_made_before_it_is_cut_short(tmp_path: Path) -> None:
    *_, stopped = small_run(tmp_path, texts(32), total_steps=80).run(never, lambda: "max_train_seconds")
    assert stopped == Stopped("max_train_seconds", 1, 1)


def test_stops_at_the_step_after_it_was_asked_to(tmp_path: Path) -> None:
    training = small_run(tmp_path, texts(12), total_steps=60, logging_steps=1)
    seen: list[TrainingEvent] = []
    with pytest.raises(Interrupted):
        for event in training.run(lambda: len(seen) == 3):
            seen.append(event)  # noqa: PERF402 - asked for while it grows
    assert [event.step for event in of(seen, Step)] == [1, 2, 3]


def test_divergence_is_a_failure_that_names_step_and_rate(tmp_path: Path) -> None:
    model = Small()
    training = small_run(tmp_path, texts(12), model=model, total_steps=60, warmup_steps=0, logging_steps=4)
    with torch.no_grad():
        model.norm.weight.fill_(math.inf)
    with pytest.raises(JobFailure) as caught:
        list(training.run(never))
    assert caught.value.code == "training-diverged"
    assert caught.value.extra == {"step": 1, "learning_rate": 0.01}
    assert "learning_rate" in (caught.value.remedy or "")


def test_divergence_between_two_readings_names_its_own_step(tmp_path: Path) -> None:
    model = Small()
    training = small_run(tmp_path, texts(12), model=model, total_steps=60, warmup_steps=0, logging_steps=10)
    with pytest.raises(JobFailure) as caught:
        for event in training.run(never):
            if event.step == 1:
                # Weights so large that the next loss overflows.
                with torch.no_grad():
                    model.classifier.weight.fill_(3e38)
    assert caught.value.extra["step"] == 2


def test_diverged_weights_are_never_kept_as_the_best(tmp_path: Path) -> None:
    model = Small()
    training = small_run(
        tmp_path, texts(12), model=model, total_steps=60, logging_steps=50, evaluate=scripted([0.9] * 9)
    )
    with pytest.raises(JobFailure, match="diverged"):
        for event in training.run(never):
            if event.step == 1:
                with torch.no_grad():
                    model.classifier.weight.fill_(math.nan)
    assert not (tmp_path / "best.safetensors").exists()


def test_out_of_memory_splits_the_batches_with_the_same_result(tmp_path: Path) -> None:
    whole = small_run(tmp_path, texts(12), model=Small(dropout=0.0))
    narrow = small_run(tmp_path, texts(12), model=Small(dropout=0.0, limit=1))
    narrow.model.load_state_dict(whole.model.state_dict())
    list(whole.run(never))
    events = list(narrow.run(never))
    assert of(events, Split) == [Split(1, 2), Split(1, 4)]
    for name, expected in weights(whole).items():
        assert torch.allclose(weights(narrow)[name], expected, atol=1e-6), name


def test_no_clipping_still_reports_the_norm(tmp_path: Path) -> None:
    events = list(small_run(tmp_path, texts(12), total_steps=1, warmup_steps=0, max_grad_norm=None).run(never))
    [clipped] = of(list(small_run(tmp_path, texts(12), total_steps=1, warmup_steps=0).run(never)), Step)
    [free] = of(events, Step)
    assert free.grad_norm == pytest.approx(clipped.grad_norm, rel=1e-5)
    assert free.grad_norm > 0


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    """Adam undoes any scaling, except against an epsilon that is large beside the clipped gradient."""
    moved = {}
    for limit in (1e-3, None):
        model = Small(dropout=0.0)
        training = small_run(
            tmp_path, texts(8), model=model, total_steps=1, warmup_steps=0, max_grad_norm=limit, adam_epsilon=1.0
        )
        before = model.classifier.weight.detach().clone()
        list(training.run(never))
        moved[limit] = float((model.classifier.weight.detach() - before).abs().max())
    assert moved[1e-3] < moved[None] / 10


def test_source_yields_the_labels_of_its_texts() -> None:
    source: Texts = texts(50)
    assert 10 < int(source.load(source.plan(50, seed=0, epoch=0)[0]).labels.sum()) < 40


def test_exploding_gradients_stop_the_run_although_they_are_finite_and_clipped(tmp_path: Path) -> None:
    model = Small(dropout=0.0)
    training = small_run(tmp_path, texts(12), model=model, total_steps=60, warmup_steps=2, logging_steps=10)
    with pytest.raises(JobFailure) as caught:
        for event in training.run(never):
            if event.step == 1:
                # The loss stays finite, the way back through the norm does not stay reasonable.
                with torch.no_grad():
                    model.classifier.weight.mul_(1e9)
    assert caught.value.code == "training-diverged"
    assert "exploded" in caught.value.detail
    assert caught.value.extra == {"step": 2, "learning_rate": 0.005}
    assert "a tenth" in (caught.value.remedy or "")


def test_steps_that_fp16_skips_are_no_divergence(tmp_path: Path) -> None:
    """The scale begins far too high: gradients overflow, the step is skipped, the scale is halved, training goes on."""
    model = Small(dropout=0.0)
    training = small_run(tmp_path, texts(12), model=model, total_steps=12, precision="fp16", logging_steps=1)
    training.arithmetic.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    steps = of(list(training.run(never)), Step)
    assert steps[0].grad_norm is None
    assert steps[0].loss_scale == 2.0**39
    assert steps[-1].step == 12
    assert all(math.isfinite(step.loss) for step in steps)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"save_strategy": "no"}, []),
        ({"save_strategy": "epoch"}, [3, 6, 9]),  # twelve rows in batches of four: three steps an epoch
        ({"save_strategy": "steps", "save_steps": 4}, [4, 8]),
    ],
)
def test_says_when_to_save_and_not_at_the_end(tmp_path: Path, changes: Any, expected: list[int]) -> None:
    events = list(small_run(tmp_path, texts(12), total_steps=12, **changes).run(never))
    assert [event.step for event in of(events, SaveDue)] == expected
