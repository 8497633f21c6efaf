"""A batch is split by what was tried, and the trial leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from app.schemas.hyperparameters import ResolvedHyperparameters
from tests.worker.simulated_memory import SimulatedMemory
from tests.worker.toy_task import MakeSpec, Recording, toy_rows
from worker import device as machine
from worker.events import AttemptSpec, Resolved
from worker.memory import memory_of
from worker.models.head import head_parameters
from worker.narration import Narrator
from worker.setup import Setup, set_up
from worker.training.loop import Training

pytestmark = pytest.mark.usefixtures("restored_torch")
ROWS = toy_rows(24)
TWO_TEXTS = 540_000
"""Bytes: enough for the activations of two of the longest texts, and not for four."""


@pytest.fixture(autouse=True)
def no_fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this processor for one on which nobody would train in bf16: trying it out needs memory, too."""
    monkeypatch.setattr(machine, "bf16_gain", lambda: 1.0)


def prepared(spec: AttemptSpec, memory: SimulatedMemory | None, recording: Recording | None = None) -> Setup:
    narrator = Narrator(recording or Recording())
    if memory is None:
        return set_up(spec, narrator, lambda: None)
    with memory:
        return set_up(spec, narrator, lambda: None, lambda _device: memory)


def trained(setup: Setup, folder: Path) -> tuple[Training, dict[str, Tensor]]:
    if setup.packed is not None:
        setup.packed.release()  # which the job with little memory has not
    training = Training(
        setup.model,
        setup.data.lessons,
        setup.data.hyperparameters,
        labels=["calm", "glad", "sad"],
        head=head_parameters(setup.model),
        total_steps=6,
        device=setup.device,
        folder=folder,
        evaluate=None,
    )
    list(training.run(lambda: False))
    return training, dict(setup.model.state_dict())


def split(wishes: ResolvedHyperparameters) -> tuple[int, int]:
    return wishes.batch_size, wishes.gradient_accumulation_steps


def reasons(setup: Setup) -> dict[str, str]:
    return {item.field: item.reason for item in setup.data.resolutions}


@pytest.mark.parametrize("further", [{}, {"unfreeze_schedule": {"0": 0, "1": "all"}}])
def test_training_is_that_of_the_size_that_was_found(make_spec: MakeSpec, tmp_path: Path, further: Any) -> None:
    given = prepared(make_spec(ROWS, name="given", batch_size=2, gradient_accumulation_steps=4, **further), None)
    expected = trained(given, tmp_path)[1]
    recording = Recording()
    found = prepared(make_spec(ROWS, name="auto", **further), SimulatedMemory(TWO_TEXTS), recording)
    assert split(found.data.hyperparameters) == split(given.data.hyperparameters) == (2, 4)
    assert found.data.total_steps == given.data.total_steps
    [resolved] = recording.of(Resolved)
    assert resolved.hyperparameters == found.data.hyperparameters
    for name, value in trained(found, tmp_path)[1].items():
        assert torch.equal(value, expected[name]), name


def test_says_what_was_tried_and_what_it_took(make_spec: MakeSpec) -> None:
    told = reasons(prepared(make_spec(ROWS), SimulatedMemory(TWO_TEXTS)))
    assert told["batch_size"].startswith("2 of the longest texts at once fit into the memory of the GPU, as was tried")
    assert "and 4 do not: weights 0 MB, gradients 0 MB, optimizer 0 MB, activations 0 MB" in told["batch_size"]
    assert told["gradient_accumulation_steps"].startswith(
        "each step learns from 8 texts all the same (24 training rows"
    )


def test_what_fits_stays_whole(make_spec: MakeSpec) -> None:
    memory = SimulatedMemory()
    memory.total = 3 * 1024 * 1024
    setup = prepared(make_spec(ROWS, gradient_accumulation_steps=3), memory)
    assert split(setup.data.hyperparameters) == (8, 3)
    told = reasons(setup)
    assert "gradient_accumulation_steps" not in told
    assert told["batch_size"].startswith("24 training rows: small batches")
    assert told["batch_size"].endswith("of its 3 MB")


def test_where_nothing_fits_single_texts_are_left_to_the_job(make_spec: MakeSpec) -> None:
    setup = prepared(make_spec(ROWS, gradient_accumulation_steps=2), SimulatedMemory(100))
    assert split(setup.data.hyperparameters) == (1, 16)
    assert "not even one" in reasons(setup)["batch_size"]


def test_a_step_never_has_more_passes_than_are_allowed(make_spec: MakeSpec) -> None:
    setup = prepared(make_spec(ROWS, gradient_accumulation_steps=300), SimulatedMemory(TWO_TEXTS // 2))
    assert split(setup.data.hyperparameters) == (4, 600)


def test_a_size_that_was_asked_for_is_not_tried(make_spec: MakeSpec) -> None:
    memory = SimulatedMemory(100)
    assert split(prepared(make_spec(ROWS, batch_size=16), memory).data.hyperparameters) == (16, 1)
    assert memory.peak == 0


def test_a_cpu_is_not_limited_by_its_memory() -> None:
    assert memory_of(torch.device("cpu")) is None


def test_a_resumed_job_keeps_the_size_it_began_with(make_spec: MakeSpec, tmp_path: Path) -> None:
    training, _ = trained(prepared(make_spec(ROWS, name="first"), SimulatedMemory(TWO_TEXTS)), tmp_path)
    training.save(tmp_path / "checkpoint", fingerprint="spec")
    later = make_spec(ROWS, name="later").model_copy(update={"resume_from": tmp_path / "checkpoint"})
    setup = prepared(later, memory := SimulatedMemory())
    assert (split(setup.data.hyperparameters), memory.peak) == ((2, 4), 0)
    assert "checkpoint" in reasons(setup)["batch_size"]
    broken = later.model_copy(update={"resume_from": tmp_path / "nothing", "work_dir": tmp_path})
    assert split(prepared(broken, SimulatedMemory()).data.hyperparameters) == (8, 1)
