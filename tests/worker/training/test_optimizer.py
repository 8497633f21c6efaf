"""Which parameters decay and which learn faster."""

import pytest
import torch

from tests.worker.training.small import Small, wishes
from worker.training.optimizer import PEAK, encoder_rate, make_optimizer, set_factor


def test_groups_by_decay_and_head() -> None:
    model = Small()
    head = {"classifier.weight", "classifier.bias"}
    optimizer = make_optimizer(model, head, wishes(learning_rate=0.01, head_learning_rate_multiplier=5.0))
    set_factor(optimizer, 0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        "embedding.weight": (0.005, 0.01),
        "norm.weight": (0.005, 0.0),
        "norm.bias": (0.005, 0.0),
        "classifier.weight": (pytest.approx(0.025), 0.01),
        "classifier.bias": (pytest.approx(0.025), 0.0),
    }
    assert encoder_rate(optimizer) == 0.005


def test_frozen_parameters_are_left_out() -> None:
    model = Small()
    model.embedding.weight.requires_grad_(False)
    optimizer = make_optimizer(model, set(), wishes())
    kept = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert id(model.embedding.weight) not in kept
    assert len(kept) == 4


def test_takes_adafactor() -> None:
    optimizer = make_optimizer(Small(), {"classifier.weight"}, wishes(optim="adafactor", weight_decay=0.2))
    assert isinstance(optimizer, torch.optim.Adafactor)
    assert sorted((group["weight_decay"], group[PEAK]) for group in optimizer.param_groups) == [
        (0.0, 0.01),
        (0.2, 0.01),
        (0.2, 0.02),
    ]


def test_takes_betas_and_epsilon() -> None:
    optimizer = make_optimizer(Small(), set(), wishes(adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.8, 0.95), 1e-6)}
