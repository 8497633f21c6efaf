"""How deep each parameter of a pretrained encoder lies: 0 for embeddings, then its layers from the bottom up."""

from torch import nn
from transformers import PreTrainedModel

from worker.models.head import between_parameters, head_parameters


def depths(model: PreTrainedModel) -> dict[str, int]:
    """Give the depth of every parameter of the encoder, by name: 0 for embeddings, else the layer, counted from 1.

    What comes after the last layer, such as a pooler or a closing norm, counts with it. A model without a stack of
    layers has one.
    """
    stack = _stack(model)
    above = head_parameters(model) | between_parameters(model)
    found = {name: _depth(name, stack) for name, _ in model.named_parameters() if name not in above}
    top = max(found.values(), default=0) or 1
    seen_layer = False
    for name, depth in found.items():
        seen_layer = seen_layer or depth > 0
        if depth == 0 and "embedding" not in name and (seen_layer or not stack):
            found[name] = top
    return found


def _stack(model: PreTrainedModel) -> str:
    """Name the list of the layers that follow each other; a list of another length holds something else."""
    layers = getattr(model.config, "num_hidden_layers", None)
    stacks = [
        name for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module) == layers
    ]
    return min(stacks, key=lambda name: (name.count("."), len(name)), default="")


def _depth(name: str, stack: str) -> int:
    if stack and name.startswith(f"{stack}."):
        return int(name.removeprefix(f"{stack}.").partition(".")[0]) + 1
    return 0
