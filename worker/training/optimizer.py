"""The optimizer with the groups that fine-tuning wants: no decay for biases and norms, another rate for the head."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from app.schemas.hyperparameters import ResolvedHyperparameters

PEAK = "peak_lr"


def make_optimizer(
    model: nn.Module, head: Collection[str], wishes: ResolvedHyperparameters, depths: Mapping[str, int] | None = None
) -> torch.optim.Optimizer:
    """Group the trainable parameters and make AdamW (Loshchilov and Hutter 2019) or Adafactor (Shazeer and Stern 2018).

    ``head`` names the parameters of the head, ``depths`` tells how high the others lie; equally high without it.
    """
    optimizer = _optimizer(wishes, _groups(model, head, wishes, depths or {}), fused=_can_fuse(model))
    set_factor(optimizer, 0.0)
    return optimizer


def _optimizer(wishes: ResolvedHyperparameters, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
    match wishes.optim:
        case "adamw":
            betas = (wishes.adam_beta1, wishes.adam_beta2)
            return torch.optim.AdamW(groups, betas=betas, eps=wishes.adam_epsilon, fused=fused)
        case "adafactor":
            return torch.optim.Adafactor(groups)


def set_factor(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group[PEAK] * factor


def set_beta1(optimizer: torch.optim.Optimizer, beta1: float) -> None:
    """Set the decay of the mean of gradients in every group."""
    for group in optimizer.param_groups:
        group["betas"] = (beta1, group["betas"][1])


def encoder_rate(optimizer: torch.optim.Optimizer) -> float:
    """Read the learning rate of the encoder's top layer; of the head where nothing else learns."""
    return float(optimizer.param_groups[0]["lr"])


def peak_rate(optimizer: torch.optim.Optimizer) -> float:
    """Read what ``encoder_rate`` is at the peak of the schedule."""
    return float(optimizer.param_groups[0][PEAK])


def _groups(
    model: nn.Module, head: Collection[str], wishes: ResolvedHyperparameters, depths: Mapping[str, int]
) -> list[dict[str, Any]]:
    top = max(depths.values(), default=0)
    members: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            in_head = name in head
            below = 0 if in_head else top - depths.get(name, top)
            scale = wishes.head_learning_rate_multiplier if in_head else wishes.layerwise_lr_decay**below
            # Biases and the weights of norms have one dimension; decay would only pull them off their place.
            members.setdefault((in_head, -scale, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            PEAK: wishes.learning_rate * -scale,
            "weight_decay": wishes.weight_decay if decays else 0.0,
        }
        for (_, scale, decays), parameters in sorted(members.items(), key=lambda member: member[0])
    ]


def _can_fuse(model: nn.Module) -> bool:
    return all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
