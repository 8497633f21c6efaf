"""The classification head: everything of a model that is neither its pretrained encoder nor between the two."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from worker.models.families import dropout_field

Layer = TypeVar("Layer", bound=nn.Module)


def head_modules(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Give the modules of the head by name, in the order they were declared."""
    body = {model.base_model_prefix, *_between(model)}
    return {name: module for name, module in model.named_children() if name not in body}


def head_parameters(model: PreTrainedModel) -> frozenset[str]:
    """Name the parameters of the head."""
    heads = head_modules(model)
    return frozenset(name for name, _ in model.named_parameters() if name.partition(".")[0] in heads)


def between_parameters(model: PreTrainedModel) -> frozenset[str]:
    """Name the parameters between encoder and head: new as the head is, but learning at the rate of the encoder."""
    between = _between(model)
    return frozenset(name for name, _ in model.named_parameters() if name.partition(".")[0] in between)


def _between(model: PreTrainedModel) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(model, "between", ())
    return names


def output_layer(model: PreTrainedModel, labels: int) -> nn.Linear:
    """Give the layer whose rows are the labels. Raises LookupError when there is none."""
    layers = [layer for layer in _within(model, nn.Linear) if layer.out_features == labels]
    if not layers:
        raise LookupError(f"{model.config.model_type} has no linear layer with {labels} outputs in its head")
    return layers[-1]


def reinitialize(model: PreTrainedModel) -> None:
    """Draw the whole head anew, as it is for a base model."""
    spread = float(getattr(model.config, "initializer_range", 0.02))
    for module in (part for head in head_modules(model).values() for part in head.modules()):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=spread)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()


def reorder(model: PreTrainedModel, old: Sequence[str], new: Sequence[str]) -> None:
    """Bring a trained head's labels, the same names in another order, into the order of ``new``."""
    layer = output_layer(model, len(new))
    order = [list(old).index(label) for label in new]
    layer.weight.data = layer.weight.data[order]  # (labels, hidden)
    if layer.bias is not None:
        layer.bias.data = layer.bias.data[order]


def dropout_of(model: PreTrainedModel) -> float:
    """Read the dropout before the output layer; 0 when the head has none."""
    layers = list(_within(model, nn.Dropout))
    return float(layers[-1].p) if layers else 0.0


def set_dropout(model: PreTrainedModel, probability: float) -> None:
    """Set the dropout before the output layer, and the config's field for it so that the saved model says the same."""
    for layer in list(_within(model, nn.Dropout))[-1:]:
        layer.p = probability
    if field := dropout_field(model.config):
        setattr(model.config, field, probability)


def _within(model: PreTrainedModel, kind: type[Layer]) -> Iterator[Layer]:
    for head in head_modules(model).values():
        for module in head.modules():
            if isinstance(module, kind):
                yield module


def name_labels(config: PreTrainedConfig, labels: Sequence[str]) -> None:
    """Note the labels in the order of the logits."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
