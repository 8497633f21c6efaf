"""What is decided before the first step reaches the model."""

import pytest
import torch

from tests.worker.toy_task import MakeSpec, Recording, toy_rows
from worker.events import Warned
from worker.narration import Narrator
from worker.setup import set_up

pytestmark = pytest.mark.usefixtures("restored_torch")


@pytest.mark.parametrize("wish", [True, False])
def test_gradient_checkpointing_is_as_wished(make_spec: MakeSpec, recording: Recording, wish: bool) -> None:
    spec = make_spec(toy_rows(12), gradient_checkpointing=wish)
    setup = set_up(spec, Narrator(recording), lambda: None)
    assert setup.model.is_activation_checkpointing is wish


@pytest.mark.parametrize(("gpu", "queue", "told"), [("0", "default", 1), (None, "gpu", 1), (None, "default", 0)])
@pytest.mark.usefixtures("without_gpu")
def test_a_gpu_that_is_there_but_not_seen_is_told(
    make_spec: MakeSpec, recording: Recording, gpu: str | None, queue: str, told: int
) -> None:
    spec = make_spec(toy_rows(12))
    request = spec.request.model_copy(update={"queue": queue})
    set_up(spec.model_copy(update={"cuda_device": gpu, "request": request}), Narrator(recording), lambda: None)
    warnings = [event for event in recording.of(Warned) if event.code == "gpu-unused"]
    assert len(warnings) == told
    assert all(warning.remedy for warning in warnings)


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the GPUs of the machine that runs the tests."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
