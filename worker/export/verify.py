"""Let the server's own predictor judge an export: a version exists only if it answers as the trained model does."""

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.artifacts.bundle import ONNX, Bundle
from app.errors import JobFailure
from app.schemas.models import ExportVerdict
from app.serving.predictor import Predictor
from worker.batch import Batch

ROWS = 64
"""Rows compared, of all lengths; a smaller dataset gives what it has."""
BATCH = 8
TOLERANCE = 1e-3
"""Largest difference of a logit. Both sides compute in fp32 and differ by rounding alone: 1e-6 for six layers, some
1e-5 for two dozen; a frozen branch or a lost mask shows from 1e-2 up."""

Logits = NDArray[np.float32]


class Rows(Protocol):
    """Where the compared rows come from."""

    def __len__(self) -> int: ...

    def spread(self, count: int) -> NDArray[np.int64]:
        """Give ``count`` rows, from the shortest to the longest."""

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Pad some rows."""


def verify(bundle: Bundle, model: nn.Module, rows: Rows) -> ExportVerdict:
    """Compare the bundle's ONNX model, in the server's predictor, with the fp32 model on the CPU.

    Raises JobFailure ``export-verification-failed`` when a logit differs or a label that is no tie.
    """
    predictor = Predictor.load(bundle)
    expected, served = _compare(predictor, model, rows)
    difference = np.abs(expected - served).max(axis=1)  # (rows,)
    agrees = expected.argmax(axis=1) == served.argmax(axis=1)
    passed = bool(np.isfinite(served).all() and difference.max() <= TOLERANCE and (agrees | _tied(expected)).all())
    verdict = ExportVerdict(
        format="onnx",
        file=ONNX,
        bytes=bundle.manifest.files[ONNX].bytes,
        rows=len(expected),
        max_abs_difference=float(difference.max()),
        label_agreement=float(agrees.mean()),
        passed=passed,
    )
    if not passed:
        raise _failed(verdict)
    return verdict


def _compare(predictor: Predictor, model: nn.Module, rows: Rows) -> tuple[Logits, Logits]:
    chosen = rows.spread(ROWS)
    expected, served = [], []
    for group in _groups(chosen):
        batch = rows.load(group)
        expected.append(_logits(model, batch))
        served.append(predictor.logits(_unpadded(batch)))
    return np.concatenate(expected), np.concatenate(served)


def _groups(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    # The shortest and the longest text alone: batches of one, at the ends of what the graph must take.
    yield rows[:1]
    if len(rows) > 1:
        yield rows[-1:]
    middle = rows[1:-1]
    groups = math.ceil(len(middle) / BATCH)
    for first in range(groups):
        # A stride over the lengths, so that every batch has padding.
        yield middle[first::groups]


@torch.inference_mode()
def _logits(model: nn.Module, batch: Batch) -> Logits:
    model.eval()
    logits: Logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.numpy()
    return logits


def _unpadded(batch: Batch) -> list[NDArray[np.int64]]:
    lengths = batch.attention_mask.sum(dim=1).tolist()
    return [ids[:length].numpy() for ids, length in zip(batch.input_ids, lengths, strict=True)]


def _tied(logits: Logits) -> NDArray[np.bool_]:
    best_two = np.sort(logits, axis=1)[:, -2:]
    tied: NDArray[np.bool_] = best_two[:, 1] - best_two[:, 0] <= 2 * TOLERANCE
    return tied


def _failed(verdict: ExportVerdict) -> JobFailure:
    return JobFailure(
        detail=f"The exported ONNX model answers differently from the trained one: logits differ by up to "
        f"{verdict.max_abs_difference:.2g} and {verdict.label_agreement:.1%} of {verdict.rows} labels agree.",
        code="export-verification-failed",
        remedy="Try another base model family, and report this with the model's config.json.",
        kind="internal",
    )
