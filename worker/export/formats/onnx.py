"""ONNX: one file, token ids and mask in, logits out, any number of texts of any length."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.artifacts.bundle import ONNX
from app.errors import JobFailure
from worker.export.format import Format
from worker.export.source import Source, TwoInputs, served_answer

INPUTS = ["input_ids", "attention_mask"]
OUTPUT = "logits"
OPSET = 17
EXAMPLE = (3, 12)
"""Texts and tokens of the traced example; not 1, which would be taken for a constant."""


def write(source: Source) -> None:
    """Write the served model. Raises JobFailure ``export-failed``."""
    export(source.model, source.folder / ONNX, pad_token_id=source.pad_token_id, longest=source.longest)


def export(model: nn.Module, file: Path, *, pad_token_id: int, longest: int) -> None:
    """Write the fp32 model, on the CPU, to ``file``. Raises JobFailure ``export-failed``.

    The tracing exporter comes first although torch calls it legacy: over nine encoder families it took 0.2-0.7 s where
    the newer one took 4-11 s, needs no second compiler stack, and onnxruntime runs its graph about a tenth faster. What
    tracing cannot promise, that no branch was frozen, the verification with other batch sizes and lengths checks. The
    newer exporter is the way out for a model that cannot be traced.
    """
    wrapper = TwoInputs(model).eval()
    example = example_inputs(pad_token_id, longest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trace(wrapper, example, file)
        except Exception as traced:  # noqa: BLE001 - either exporter may raise anything about a model it cannot take
            try:
                capture(wrapper, example, file, longest)
            except Exception as captured:
                raise _failed(traced, captured) from captured


def example_inputs(pad_token_id: int, longest: int) -> tuple[Tensor, Tensor]:
    """Make ids and mask, each (batch, seq), that take every way through a model."""
    texts, tokens = EXAMPLE[0], min(EXAMPLE[1], longest)
    mask = torch.ones(texts, tokens, dtype=torch.int64)  # (batch, seq)
    # A padded text in the example: without one, a model may trace the shortcut for batches that need no mask.
    mask[1, tokens // 2 :] = 0
    ids = torch.full_like(mask, pad_token_id)
    # Any id but that of padding: some models tell padding from the ids.
    return torch.where(mask == 1, 1 if pad_token_id == 0 else 0, ids), mask


def free_shape(longest: int) -> dict[int, Any]:
    """Say to torch.export which axes of an input, (batch, seq), are free, and how far."""
    return {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("sequence", min=2, max=longest)}


def trace(wrapper: nn.Module, example: tuple[Tensor, Tensor], file: Path) -> None:
    """Export what the model did with the example."""
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        wrapper,
        example,
        str(file),
        dynamo=False,
        input_names=INPUTS,
        output_names=[OUTPUT],
        dynamic_axes={**dict.fromkeys(INPUTS, axes), OUTPUT: {0: "batch"}},
        opset_version=OPSET,
    )


def capture(wrapper: nn.Module, example: tuple[Tensor, Tensor], file: Path, longest: int) -> None:
    """Export the model's program, with proof that it takes other shapes."""
    torch.onnx.export(
        wrapper,
        example,
        str(file),
        dynamo=True,
        input_names=INPUTS,
        output_names=[OUTPUT],
        dynamic_shapes=dict.fromkeys(INPUTS, free_shape(longest)),
        opset_version=OPSET + 1,
        # The default puts the weights into a second file, which a bundle does not have.
        external_data=False,
        verbose=False,
    )


def _failed(traced: Exception, captured: Exception) -> JobFailure:
    return JobFailure(
        detail="The trained model cannot be exported to ONNX: "
        f"tracing failed with {type(traced).__name__}, capturing with {type(captured).__name__}.",
        code="export-failed",
        remedy="Use a base model of a known family; the log of the attempt has the details.",
        kind="internal",
    )


FORMAT = Format("onnx", (ONNX,), write, lambda source: served_answer(source, "onnx"))
