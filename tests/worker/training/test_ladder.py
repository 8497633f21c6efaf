"""What happens when memory runs out: the same training in smaller pieces, told step by step, and then a failure."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from app.errors import JobFailure
from tests.worker.simulated_memory import SimulatedMemory
from tests.worker.tiny_models import tiny_config
from tests.worker.training.small import Small, never, small_run, texts
from worker.events import Interrupted
from worker.models.recompute import keep, recompute, recomputing
from worker.training.events import Recomputing, Split, Step, TrainingEvent
from worker.training.loop import Training

STEPS = 3
BATCH = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
SINGLE = [[row] for batch in BATCH for row in batch]


def bert(dropout: float) -> PreTrainedModel:
    config = tiny_config("bert")
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    torch.manual_seed(5)
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    return model


def run_of(folder: Path, model: PreTrainedModel, order: list[list[int]] = BATCH, **changes: Any) -> Training:
    return small_run(
        folder,
        texts(12, order=order),
        model=model,
        total_steps=STEPS,
        recompute=recomputing(model),
        **{"learning_rate": 1e-3, "logging_steps": 1} | changes,
    )


def train(training: Training, memory: SimulatedMemory) -> list[TrainingEvent]:
    with memory:
        return list(training.run(never))


def weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def rungs(events: list[TrainingEvent]) -> list[TrainingEvent]:
    return [event for event in events if isinstance(event, Split | Recomputing)]


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The memory that whole batches take, that single texts take, and that these take with checkpointing."""
    folder, found = tmp_path_factory.mktemp("sizes"), {}
    for name, order, twice in (("batch", BATCH, False), ("single", SINGLE, False), ("recomputed", SINGLE, True)):
        model, memory = bert(0.0), SimulatedMemory()
        if twice:
            recompute(model)
        train(run_of(folder, model, order, gradient_accumulation_steps=len(order) // 3), memory)
        found[name] = memory.peak
    return found


def test_each_rung_takes_less(sizes: dict[str, int]) -> None:
    assert sizes["batch"] > 3 * sizes["single"] > 6 * sizes["recomputed"] > 0


def test_rungs_come_in_order_and_change_nothing_that_is_computed(tmp_path: Path, sizes: dict[str, int]) -> None:
    # Without that epsilon Adam makes whole steps of rounding errors, where the true gradient is zero as of key biases.
    roomy, narrow = (run_of(tmp_path, bert(0.0), adam_epsilon=1e-3) for _ in range(2))
    expected = train(roomy, SimulatedMemory())
    events = train(narrow, memory := SimulatedMemory(sizes["single"] - 1))
    assert rungs(events) == [Split(1, 2), Split(1, 4), Recomputing(1)]
    assert 0 < memory.peak < sizes["single"]
    steps = [[event for event in run if isinstance(event, Step)] for run in (expected, events)]
    assert [step.step for step in steps[1]] == [step.step for step in steps[0]] == list(range(1, STEPS + 1))
    assert [step.loss for step in steps[1]] == pytest.approx([step.loss for step in steps[0]], abs=1e-6)
    for name, value in weights(roomy).items():
        assert torch.allclose(weights(narrow)[name], value, atol=1e-6), name


def test_dropout_falls_as_it_does_where_single_texts_were_asked_for(tmp_path: Path, sizes: dict[str, int]) -> None:
    """A failed try leaves nothing behind, and what is computed twice is the same twice: bit by bit."""
    plain = run_of(tmp_path, bert(0.2), SINGLE, gradient_accumulation_steps=4)
    train(plain, SimulatedMemory())
    for limit in (sizes["single"] + 1, sizes["single"] - 1):
        narrow = run_of(tmp_path, bert(0.2))
        assert len(rungs(train(narrow, SimulatedMemory(limit)))) in (2, 3)
        for name, value in weights(plain).items():
            assert torch.equal(weights(narrow)[name], value), name


def test_checkpointing_from_the_start_changes_no_bit(tmp_path: Path) -> None:
    results, peaks = [], []
    for wish in (False, True):
        model, memory = bert(0.2), SimulatedMemory()
        if wish:
            recompute(model)
        training = run_of(tmp_path, model, gradient_checkpointing=wish)
        train(training, memory)
        results.append(weights(training))
        peaks.append(memory.peak)
    assert peaks[1] < peaks[0] / 2
    for name, value in results[0].items():
        assert torch.equal(results[1][name], value), name


def test_a_resumed_run_stays_on_its_rung(tmp_path: Path, sizes: dict[str, int]) -> None:
    limit = sizes["single"] - 1
    whole = run_of(tmp_path / "whole", bert(0.2))
    train(whole, SimulatedMemory(limit))
    first, seen = run_of(tmp_path / "first", bert(0.2)), []
    with pytest.raises(Interrupted), SimulatedMemory(limit):
        for event in first.run(lambda: len(seen) >= 5):
            seen.append(event)  # noqa: PERF402 - asked for while it grows
    first.save(tmp_path / "checkpoint", fingerprint="spec")

    second = run_of(tmp_path / "second", bert(0.2))
    torch.manual_seed(99)
    second.resume(tmp_path / "checkpoint", fingerprint="spec")
    assert rungs(train(second, SimulatedMemory(limit))) == []
    for name, value in weights(whole).items():
        assert torch.equal(weights(second)[name], value), name


def test_the_last_rung_is_followed_by_a_failure_that_says_what_helps(tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    with pytest.raises(JobFailure) as caught, SimulatedMemory(100):
        for event in run_of(tmp_path, bert(0.0)).run(never):
            events.append(event)  # noqa: PERF402 - what came before the failure counts
    assert rungs(events) == [Split(1, 2), Split(1, 4), Recomputing(1)]
    assert (caught.value.code, caught.value.kind, caught.value.final) == ("gpu-out-of-memory", "resource", True)
    assert caught.value.extra == {"step": 1, "texts_at_once": 1}
    assert "gradient checkpointing" in caught.value.detail
    assert "max_length" in (caught.value.remedy or "")


def test_a_model_that_cannot_recompute_fails_with_single_texts(tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    with pytest.raises(JobFailure) as caught:
        for event in small_run(tmp_path, texts(12), model=Small(limit=0)).run(never):
            events.append(event)  # noqa: PERF402 - what came before the failure counts
    assert rungs(events) == [Split(1, 2), Split(1, 4)]
    assert caught.value.code == "gpu-out-of-memory"
    assert "checkpointing" not in caught.value.detail


def test_other_errors_are_not_taken_for_it(tmp_path: Path) -> None:
    model = bert(0.0)
    model.classifier.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("sizes do not match")))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        list(run_of(tmp_path, model).run(never))


def test_recomputing_is_switched_on_once_and_off_again() -> None:
    model = bert(0.0)
    switch = recomputing(model)
    assert switch is not None
    switch()
    assert model.is_activation_checkpointing
    assert recomputing(model) is None
    keep(model)
    assert not model.is_activation_checkpointing
