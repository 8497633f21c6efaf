"""Judge a model on one split."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from app.schemas.metrics import Evaluation
from worker.batch import Batch
from worker.evaluation.metrics import confusion_matrix, score
from worker.products import quick_products


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    labels: Sequence[str],
    *,
    split: str,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[None]],
    check: Callable[[], None],
) -> Evaluation:
    """Score every row of ``batches``; ``check`` is called before each batch and may raise to stop.

    The loss is plain cross-entropy, without class weights and smoothing, so that runs can be compared. Leaves the
    model in evaluation mode. Results stay on the device until the last batch.
    """
    model.eval()
    losses: list[Tensor] = []
    truth: list[Tensor] = []
    predicted: list[Tensor] = []
    for batch in batches:
        check()
        moved = batch.to(device)
        with autocast():
            logits = model(**moved.inputs).logits  # (batch, classes)
        losses.append(functional.cross_entropy(logits.float(), moved.labels, reduction="sum"))
        truth.append(moved.labels)
        predicted.append(logits.argmax(dim=-1))
    matrix = confusion_matrix(_numpy(truth), _numpy(predicted), len(labels))
    loss = float(torch.stack(losses).double().sum()) / max(1, int(matrix.sum()))
    return score(matrix, labels, split=split, loss=loss)


@torch.inference_mode()
def ask(
    model: nn.Module, batches: Iterable[Batch], *, device: torch.device, check: Callable[[], None]
) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
    """Give the model's logits for every row of ``batches``, (rows, labels), and what the rows are labelled with.

    In fp32, whatever the model was trained in. Leaves the model in evaluation mode.
    """
    model.eval()
    logits: list[Tensor] = []
    truth: list[Tensor] = []
    for batch in batches:
        check()
        moved = batch.to(device)
        with quick_products(device):
            logits.append(model(**moved.inputs).logits.float())  # (batch, labels)
        truth.append(moved.labels)
    return torch.cat(logits).cpu().numpy(), torch.cat(truth).cpu().numpy()


def _numpy(parts: Sequence[Tensor]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return torch.cat(list(parts)).cpu().numpy()
