"""What a loaded network is made of: sizes and parts, counted on the network itself."""

from collections.abc import Iterator

import torch
from torch import nn
from transformers import PreTrainedModel

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.inspections import Inspection, Layer
from worker.device import MIB, device_name
from worker.models.depth import depths
from worker.models.head import between_parameters, head_parameters
from worker.training.freezing import Freezing

DEEPEST = 3
"""Level of the smallest parts that are told: the layers of an encoder, the tables of its embeddings."""
MOST_LAYERS = 200


def inspect(model: PreTrainedModel, wishes: ResolvedHyperparameters, device: torch.device) -> Inspection:
    """Count what ``model``, which is on ``device``, is made of; it stays as it is."""
    tensors = [*model.parameters(), *model.buffers()]
    return Inspection(
        architecture=type(model).__name__,
        parameters=_numbers(model),
        trainable_parameters=_trainable(model, wishes),
        size_mb=round(sum(each.numel() * each.element_size() for each in tensors) / MIB, 2),
        device=device_name(device),
        layers=[layer for layer, _ in zip(_layers(model), range(MOST_LAYERS), strict=False)],
    )


def _numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _trainable(model: PreTrainedModel, wishes: ResolvedHyperparameters) -> int:
    """Count what is open in the first epoch, by the rule that training itself will follow."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    freezing = Freezing(model, {*head_parameters(model), *between_parameters(model)}, depths(model), wishes)
    freezing.enter(0)
    count = freezing.open_parameters()
    for parameter in learned:
        parameter.requires_grad_(True)
    return count


def _layers(module: nn.Module, path: str = "", level: int = 1) -> Iterator[Layer]:
    """Go through the parts that have parameters, in the order they were declared."""
    for name, part in module.named_children():
        place, numbers = f"{path}{name}", _numbers(part)
        if not numbers:
            continue
        if isinstance(part, nn.ModuleList):
            yield from _layers(part, f"{place}.", level)
            continue
        yield Layer(name=place, kind=type(part).__name__, parameters=numbers)
        if level < DEEPEST:
            yield from _layers(part, f"{place}.", level + 1)
