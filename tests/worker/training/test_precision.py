"""Mixed precision on the CPU: bf16 and fp16 learn, and a step that overflows in fp16 is skipped, not a failure."""

from pathlib import Path

import pytest
import torch

from app.errors import JobFailure
from app.schemas.hyperparameters import Precision
from tests.worker.training.small import Small, never, small_run, texts
from worker.events import Interrupted
from worker.training.events import Step
from worker.training.loop import Training


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_learns_with_fp32_weights(tmp_path: Path, precision: Precision) -> None:
    training = small_run(tmp_path, texts(32), total_steps=80, learning_rate=0.05, precision=precision)
    steps = [event for event in training.run(never) if isinstance(event, Step)]
    assert steps[-1].loss < 0.15
    assert (steps[-1].loss_scale is not None) == (precision == "fp16")
    assert {parameter.dtype for parameter in training.model.parameters()} == {torch.float32}


def test_forward_runs_in_the_chosen_precision(tmp_path: Path) -> None:
    training = small_run(tmp_path, texts(4), precision="bf16")
    with training.arithmetic.autocast():
        batch = texts(4).load(texts(4).plan(4, seed=0, epoch=0)[0])
        assert training.model(**batch.inputs).logits.dtype == torch.bfloat16


def test_overflow_skips_the_step_and_lowers_the_scale(tmp_path: Path) -> None:
    model = Small()
    training = small_run(tmp_path, texts(4), model=model, total_steps=2, warmup_steps=0, precision="fp16")
    training.arithmetic.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = model.classifier.weight.detach().clone()
    events = training.run(never)
    first = next(events)
    assert isinstance(first, Step)
    assert torch.equal(model.classifier.weight, before)
    assert first.loss_scale == 2.0**39
    assert first.grad_norm is None
    assert 0 < first.loss < 5


def test_the_schedule_stands_still_while_steps_are_skipped(tmp_path: Path) -> None:
    """A scale of 2^40 is halved until gradients fit; what is learned then is learned at the first rates."""
    rates = {}
    for precision in ("fp32", "fp16"):
        training = small_run(
            tmp_path / precision, texts(4), total_steps=40, warmup_steps=8, precision=precision, logging_steps=1
        )
        if precision == "fp16":
            training.arithmetic.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
        steps = [event for event in training.run(never) if isinstance(event, Step)]
        skipped = [step.step for step in steps if step.grad_norm is None]
        rates[precision] = [step.learning_rate for step in steps]
    count = len(skipped)
    assert skipped == list(range(1, count + 1))
    assert 10 < count < 35
    assert set(rates["fp16"][: count + 1]) == {0.0}
    assert rates["fp16"][count:] == rates["fp32"][: 40 - count]


def test_a_resumed_run_knows_what_was_skipped(tmp_path: Path) -> None:
    def run_of(name: str) -> Training:
        training = small_run(tmp_path / name, texts(4), total_steps=40, precision="fp16", logging_steps=1)
        training.arithmetic.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
        return training

    expected = [event.learning_rate for event in run_of("whole").run(never) if isinstance(event, Step)]
    for steps in (3, 30):
        first, seen = run_of("first"), list[float]()
        with pytest.raises(Interrupted):
            for event in first.run(lambda seen=seen, steps=steps: len(seen) == steps):
                seen.append(event.learning_rate)
        first.save(tmp_path / f"checkpoint-{steps}", fingerprint="spec")
        second = run_of("second")
        second.resume(tmp_path / f"checkpoint-{steps}", fingerprint="spec")
        seen += [event.learning_rate for event in second.run(never) if isinstance(event, Step)]
        assert seen == expected


def test_gradients_are_clipped_by_their_true_norm(tmp_path: Path) -> None:
    """The norm that is reported and clipped must not contain the loss scale of 65,536."""
    norms = {}
    for precision in ("fp32", "fp16"):
        training = small_run(
            tmp_path, texts(4), model=None, total_steps=1, warmup_steps=0, precision=precision, dropout=0.0
        )
        [step] = [event for event in training.run(never) if isinstance(event, Step)]
        norms[precision] = step.grad_norm
    assert norms["fp16"] == pytest.approx(norms["fp32"], rel=0.05)


def test_a_scale_that_collapses_is_a_divergence(tmp_path: Path) -> None:
    training = small_run(tmp_path, texts(4), total_steps=9, warmup_steps=0, precision="fp16")
    training.arithmetic.scaler = torch.amp.GradScaler("cpu", init_scale=1e-5)
    with pytest.raises(JobFailure) as caught:
        list(training.run(never))
    assert caught.value.code == "training-diverged"
    assert "bf16" in (caught.value.remedy or "")
