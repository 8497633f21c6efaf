"""A head that starts from a linear probe: fitted on the features of the still frozen network, before the first step.

Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", 2022.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from worker.batch import Batch
from worker.data.batches import Batches
from worker.training.objective import Objective

MOST = 4096
"""Texts that the probe learns from: more hardly change a linear layer, and each costs a pass through the network."""
DECAY = 0.01
"""Pull of the weights towards zero, of features that were brought to variance 1."""
ROUNDS = 100


@torch.no_grad()
def features(
    forward: nn.Module,
    layer: nn.Linear,
    batches: Iterable[Batch],
    *,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[None]],
    check: Callable[[], None],
) -> tuple[Tensor, Tensor]:
    """Give what ``layer`` is fed with by the network in evaluation, (texts, hidden), and the labels of the texts.

    ``check`` is called before each batch and may raise to stop. Leaves the network in evaluation mode.
    """
    seen: list[Tensor] = []
    labels: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float()))
    forward.eval()
    try:
        for batch in batches:
            check()
            moved = batch.to(device)
            with autocast():
                forward(**moved.inputs)
            labels.append(moved.labels)
    finally:
        handle.remove()
    return torch.cat(seen), torch.cat(labels)


def fit(layer: nn.Linear, found: Tensor, labels: Tensor, loss: Objective) -> None:
    """Set a layer's weights to those with the least loss on the features ``found``, (texts, hidden), of these texts.

    Draws nothing at random. The loss is that of the job, with its class weights; the network stays as it is.
    """
    mean, spread = found.mean(dim=0), found.std(dim=0, correction=0).clamp(min=1e-6)
    scaled = (found - mean) / spread
    weight = torch.zeros_like(layer.weight, dtype=torch.float32).requires_grad_()
    bias = torch.zeros(len(weight), device=weight.device).requires_grad_()
    total = loss.total_weight(labels)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss.share(scaled @ weight.T + bias, labels, total) + DECAY / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.copy_(weight / spread)
        if layer.bias is not None:
            layer.bias.copy_(bias - (weight / spread) @ mean)


def start_head(
    forward: nn.Module,
    layer: nn.Linear,
    train: Batches,
    loss: Objective,
    *,
    batch_size: int,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[None]],
    check: Callable[[], None],
) -> None:
    """Fit the output ``layer`` of a network on up to 4,096 training texts, evenly over all lengths."""
    rows = train.packed(train.spread(MOST), batch_size)
    found, labels = features(forward, layer, map(train.load, rows), device=device, autocast=autocast, check=check)
    fit(layer, found, labels, loss)
