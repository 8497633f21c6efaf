"""Accumulated batches are one big batch: with class weights, label smoothing and a short last batch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from worker.training.losses import WindowLoss

CLASSES = 3


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    weights=st.none() | st.lists(st.floats(0.1, 10), min_size=CLASSES, max_size=CLASSES),
    smoothing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_window_of_batches_has_the_gradient_of_one_big_batch(
    sizes: list[int], weights: list[float] | None, smoothing: float, seed: int
) -> None:
    torch.manual_seed(seed)
    features, labels = torch.randn(sum(sizes), 4), torch.randint(CLASSES, (sum(sizes),))
    layer = nn.Linear(4, CLASSES)
    weight = None if weights is None else torch.tensor(weights)
    whole = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)(layer(features), labels)
    expected = torch.autograd.grad(whole, layer.weight)[0]

    loss = WindowLoss(weight, smoothing)
    divisor = loss.total_weight(labels)
    total = torch.zeros(())
    for rows, truth in zip(features.split(sizes), labels.split(sizes), strict=True):
        share = loss.share(layer(rows), truth, divisor)
        share.backward()
        total += share.detach()

    assert torch.allclose(layer.weight.grad, expected, atol=1e-6)
    assert torch.allclose(total, whole, atol=1e-6)
