"""What a network is made of: every number counted, every layer named, nothing changed by looking."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.tiny_models import save_base
from tests.worker.toy_task import MakeSpec, Recording, toy_rows
from tests.worker.training.small import wishes
from worker.anatomy import MOST_LAYERS, inspect
from worker.device import MIB
from worker.events import Resolved
from worker.models import encoder
from worker.models.head import head_parameters
from worker.narration import Narrator
from worker.setup import set_up

CPU = torch.device("cpu")
LABELS = ["no", "yes", "perhaps"]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return encoder.load(save_base("bert", tmp_path), LABELS).model


def test_parameters_bytes_and_layers_are_those_of_the_network(model: Any) -> None:
    found = inspect(model, wishes(), CPU)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert found.architecture == "BertForSequenceClassification"
    assert (found.parameters, found.trainable_parameters) == (counted, counted)
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    assert buffers > 0
    assert found.size_mb == round((4 * counted + buffers) / MIB, 2)
    assert found.device.startswith("CPU")
    layers = {layer.name: layer for layer in found.layers}
    assert list(layers)[:3] == ["bert", "bert.embeddings", "bert.embeddings.word_embeddings"]
    assert layers["bert"].parameters + layers["classifier"].parameters == counted
    assert (layers["bert.encoder.layer.1"].kind, layers["bert.embeddings.word_embeddings"].parameters) == (
        "BertLayer",
        400 * 32,
    )
    assert max(name.count(".") for name in layers) == 3  # a numbered layer of a list of the second level's
    assert "bert.encoder.layer" not in layers and len(layers) <= MOST_LAYERS


def test_half_precision_takes_half_the_memory(model: Any) -> None:
    whole = inspect(model, wishes(), CPU).size_mb
    assert inspect(model.half(), wishes(), CPU).size_mb == pytest.approx(whole / 2, abs=0.011)


@pytest.mark.parametrize(
    ("changes", "layers"), [({"freeze_base": True}, 0), ({"unfreeze_schedule": {"0": 1, "2": "all"}}, 1)]
)
def test_what_is_frozen_at_first_is_not_counted_as_trainable(model: Any, changes: Any, layers: int) -> None:
    head = head_parameters(model)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    expected = sum(size for name, size in sizes.items() if name in head)
    expected += layers * sum(size for name, size in sizes.items() if "encoder.layer.1." in name)
    found = inspect(model, wishes(**changes), CPU)
    pooler = sum(size for name, size in sizes.items() if "pooler" in name)
    assert found.trainable_parameters in (expected, expected + pooler)
    assert found.trainable_parameters < found.parameters
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.usefixtures("restored_torch")
def test_a_job_tells_it_before_it_trains(make_spec: MakeSpec, recording: Recording) -> None:
    setup = set_up(make_spec(toy_rows(12), freeze_base=True), Narrator(recording), lambda: None)
    [resolved] = recording.of(Resolved)
    assert resolved.inspection == setup.inspection
    assert setup.inspection.parameters == sum(parameter.numel() for parameter in setup.model.parameters())
    assert 0 < setup.inspection.trainable_parameters < setup.inspection.parameters
