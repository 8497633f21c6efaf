"""Accumulated batches are one big batch: with class weights, label smoothing and a short last batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from worker.data.class_weights import balanced_weights
from worker.training.losses import WindowLoss
from worker.training.multi_label import LabelwiseLoss

CLASSES = 3


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    weights=st.none() | st.lists(st.floats(0.1, 10), min_size=CLASSES, max_size=CLASSES),
    smoothing=st.sampled_from([0.0, 0.1]),
    gamma=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 1000),
)
def test_window_of_batches_has_the_gradient_of_one_big_batch(
    sizes: list[int], weights: list[float] | None, smoothing: float, gamma: float, seed: int
) -> None:
    torch.manual_seed(seed)
    features, labels = torch.randn(sum(sizes), 4), torch.randint(CLASSES, (sum(sizes),))
    layer = nn.Linear(4, CLASSES)
    weight = None if weights is None else torch.tensor(weights)
    if gamma == 0:
        whole = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)(layer(features), labels)
    else:
        one_batch = WindowLoss(weight, smoothing, gamma)
        whole = one_batch.share(layer(features), labels, one_batch.total_weight(labels))
    expected = torch.autograd.grad(whole, layer.weight)[0]

    loss = WindowLoss(weight, smoothing, gamma)
    divisor = loss.total_weight(labels)
    total = torch.zeros(())
    for rows, truth in zip(features.split(sizes), labels.split(sizes), strict=True):
        share = loss.share(layer(rows), truth, divisor)
        share.backward()
        total += share.detach()

    assert torch.allclose(layer.weight.grad, expected, atol=1e-6)
    assert torch.allclose(total, whole, atol=1e-6)


def focal_by_formula(
    logits: torch.Tensor, labels: torch.Tensor, gamma: float, weight: torch.Tensor | None
) -> torch.Tensor:
    """Lin et al. 2017: -w (1 - p)^gamma log p of the true class, over the sum of the weights, in double precision."""
    likely = torch.softmax(logits.double(), dim=1)[torch.arange(len(labels)), labels]
    weights = torch.ones(len(labels)).double() if weight is None else weight.double()[labels]
    return (weights * (1 - likely) ** gamma * -torch.log(likely)).sum() / weights.sum()


@settings(max_examples=60, deadline=None)
@given(
    gamma=st.floats(0.1, 5),
    weights=st.none() | st.lists(st.floats(0.1, 10), min_size=CLASSES, max_size=CLASSES),
    seed=st.integers(0, 1000),
)
def test_focal_loss_is_that_of_the_paper(gamma: float, weights: list[float] | None, seed: int) -> None:
    torch.manual_seed(seed)
    logits, labels = torch.randn(9, CLASSES) * 3, torch.randint(CLASSES, (9,))
    weight = None if weights is None else torch.tensor(weights)
    loss = WindowLoss(weight, 0.0, gamma)
    assert float(loss.share(logits, labels, loss.total_weight(labels))) == pytest.approx(
        float(focal_by_formula(logits, labels, gamma, weight)), abs=1e-6, rel=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_focal_loss_without_focus_is_cross_entropy(smoothing: float, weights: list[float] | None) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(9, CLASSES), torch.randint(CLASSES, (9,))
    weight = None if weights is None else torch.tensor(weights)
    nearly, plain = WindowLoss(weight, smoothing, 1e-9), WindowLoss(weight, smoothing)
    divisor = plain.total_weight(labels)
    expected = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)(logits, labels)
    assert torch.allclose(plain.share(logits, labels, divisor), expected, atol=1e-6)
    assert torch.allclose(nearly.share(logits, labels, divisor), expected, atol=1e-6)


def test_focal_loss_counts_easy_rows_less() -> None:
    """At gamma 2 a row that is answered with 0.9 loses a factor of 100, one with 0.5 a factor of 4."""
    for likely, factor in ((0.9, 100.0), (0.5, 4.0)):
        logits, labels = torch.tensor([[likely, 1 - likely]]).log(), torch.tensor([0])
        one = torch.tensor(1.0)
        focal, plain = (WindowLoss(None, 0.0, gamma).share(logits, labels, one) for gamma in (2.0, 0.0))
        assert float(plain / focal) == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_gradient_of_the_focal_loss_is_finite_for_the_surest_answer(gamma: float) -> None:
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    WindowLoss(None, 0.0, gamma).share(logits, labels, torch.tensor(2.0)).backward()
    assert torch.isfinite(logits.grad).all()


@settings(deadline=None)
@given(counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=12))
def test_balanced_weights_are_those_of_scikit_learn(counts: list[int]) -> None:
    """total / (classes * count)."""
    named = {str(index): count for index, count in enumerate(counts)}
    weights = balanced_weights(named)
    classes = np.arange(len(counts))
    theirs = compute_class_weight("balanced", classes=classes, y=np.repeat(classes, np.minimum(counts, 50)))
    ours = balanced_weights({name: min(count, 50) for name, count in named.items()})
    assert list(ours.values()) == pytest.approx(list(theirs), abs=1e-6)
    for name, count in named.items():
        assert weights[name] == pytest.approx(sum(counts) / (len(counts) * count), abs=1e-6)
    # All classes together weigh as much as all rows.
    assert sum(weights[name] * count for name, count in named.items()) == pytest.approx(sum(counts))


def test_weights_of_a_guide_that_miscounted_its_rows() -> None:
    """3,000, 1,350 and 550 rows are 4,900, not 6,200."""
    weights = balanced_weights({"general": 3000, "teen": 1350, "mature": 550})
    assert [round(weight, 3) for weight in weights.values()] == [0.544, 1.21, 2.97]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss_of_label_sets_is_that_of_the_paper(gamma: float, smoothing: float) -> None:
    torch.manual_seed(3)
    logits, labels = torch.randn(7, 4), (torch.rand(7, 4) < 0.4).float()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    loss = LabelwiseLoss(weights, smoothing, gamma)
    likely, wanted = torch.sigmoid(logits.double()), labels.double() * (1 - smoothing) + smoothing / 2
    by_hand = -(wanted * weights * (1 - likely) ** gamma * likely.log())
    by_hand -= (1 - wanted) * likely**gamma * (1 - likely).log()
    share = loss.share(logits, labels, loss.total_weight(labels))
    assert share.item() == pytest.approx(by_hand.mean().item(), abs=1e-6)
    sure = torch.tensor([[80.0, -80.0]], requires_grad=True)
    LabelwiseLoss(None, 0.0, gamma).share(sure, torch.tensor([[1.0, 0.0]]), torch.tensor(2.0)).backward()
    assert sure.grad is not None and torch.isfinite(sure.grad).all()
