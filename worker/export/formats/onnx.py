"""ONNX: one file, token ids and mask in, logits out, any number of texts of any length, or of any number of chunks."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.artifacts.bundle import ONNX
from app.errors import JobFailure
from app.logging import get_logger
from worker.export.format import Format
from worker.export.source import Record, Source, as_called, as_it_is, served_answer

INPUTS = ["input_ids", "attention_mask"]
CHUNKS = "chunk_index"
OUTPUT = "logits"
OPSET = 17
EXAMPLE = (4, 12)
"""Texts, or chunks, and tokens of the traced example; not 1, which would be taken for a constant."""
CHUNKS_OF = ((0, 1), (2, -1), (3, -1))
"""Of three documents in the example, each with its chunks."""
MOST_TEXTS = 4096

log = get_logger(__name__)


def write(source: Source) -> None:
    """Write the served model. Raises JobFailure ``export-failed``."""
    export(
        source.model,
        source.folder / ONNX,
        pad_token_id=source.pad_token_id,
        longest=source.longest,
        in_chunks=source.in_chunks,
        recorded=source.recorded,
    )


def export(
    model: nn.Module,
    file: Path,
    *,
    pad_token_id: int,
    longest: int,
    in_chunks: bool = False,
    recorded: Record = as_it_is,
) -> None:
    """Write the fp32 model, on the CPU, to ``file``. Raises JobFailure ``export-failed``.

    The tracing exporter comes first although torch calls it legacy: over nine encoder families it took 0.2-0.7 s where
    the newer one took 4-11 s, needs no second compiler stack, and onnxruntime runs its graph about a tenth faster. What
    tracing cannot promise, that no branch was frozen, the verification with other batch sizes and lengths checks. The
    newer exporter is the way out for a model that cannot be traced.
    """
    wrapper = as_called(model, in_chunks=in_chunks)
    example = example_inputs(pad_token_id, longest, in_chunks=in_chunks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not _traced_in_its_place(recorded, model, example, file):
                trace(wrapper, example, file)
        except Exception as traced:  # noqa: BLE001 - either exporter may raise anything about a model it cannot take
            try:
                capture(wrapper, example, file, longest)
            except Exception as captured:
                raise _failed(traced, captured) from captured


def _traced_in_its_place(recorded: Record, model: nn.Module, example: tuple[Tensor, ...], file: Path) -> bool:
    """Export what is to be recorded in the model's place; says whether there was such a thing and it could be."""
    try:
        stand_in = recorded(model)
        if stand_in is not None:
            trace(stand_in, example, file)
        return stand_in is not None
    except Exception as error:  # noqa: BLE001 - it may raise anything; the model itself is slower, but as good
        log.warning("The quicker graph of the model cannot be traced", error_type=type(error).__name__)
        return False


def example_inputs(pad_token_id: int, longest: int, *, in_chunks: bool = False) -> tuple[Tensor, ...]:
    """Make ids and mask, each (pieces, seq), and perhaps the chunk index, that take every way through a model."""
    texts, tokens = EXAMPLE[0], min(EXAMPLE[1], longest)
    mask = torch.ones(texts, tokens, dtype=torch.int64)  # (pieces, seq)
    # A padded text in the example: without one, a model may trace the shortcut for batches that need no mask.
    mask[1, tokens // 2 :] = 0
    ids = torch.full_like(mask, pad_token_id)
    # Any id but that of padding: some models tell padding from the ids.
    ids = torch.where(mask == 1, 1 if pad_token_id == 0 else 0, ids)
    return (ids, mask, torch.tensor(CHUNKS_OF)) if in_chunks else (ids, mask)


def free_shapes(longest: int, *, in_chunks: bool = False) -> tuple[dict[int, Any], ...]:
    """Say to torch.export which axes of each input are free, and how far."""
    texts = torch.export.Dim("chunks" if in_chunks else "batch", min=1, max=MOST_TEXTS)
    of_text = {0: texts, 1: torch.export.Dim("sequence", min=2, max=longest)}
    if not in_chunks:
        return (of_text, of_text)
    batch, most = (torch.export.Dim(name, min=1, max=MOST_TEXTS) for name in ("batch", "most"))
    return (of_text, of_text, {0: batch, 1: most})


def trace(wrapper: nn.Module, example: tuple[Tensor, ...], file: Path) -> None:
    """Export what the model did with the example."""
    axes = {0: "chunks" if len(example) > len(INPUTS) else "batch", 1: "sequence"}
    torch.onnx.export(
        wrapper,
        example,
        str(file),
        dynamo=False,
        input_names=_names(example),
        output_names=[OUTPUT],
        dynamic_axes={**dict.fromkeys(INPUTS, axes), CHUNKS: {0: "batch", 1: "most"}, OUTPUT: {0: "batch"}},
        opset_version=OPSET,
    )


def capture(wrapper: nn.Module, example: tuple[Tensor, ...], file: Path, longest: int) -> None:
    """Export the model's program, with proof that it takes other shapes."""
    shapes = free_shapes(longest, in_chunks=len(example) > len(INPUTS))
    torch.onnx.export(
        wrapper,
        example,
        str(file),
        dynamo=True,
        input_names=_names(example),
        output_names=[OUTPUT],
        dynamic_shapes=dict(zip(_names(example), shapes, strict=True)),
        opset_version=OPSET + 1,
        # The default puts the weights into a second file, which a bundle does not have.
        external_data=False,
        verbose=False,
    )


def _names(example: tuple[Tensor, ...]) -> list[str]:
    return [*INPUTS, CHUNKS][: len(example)]


def _failed(traced: Exception, captured: Exception) -> JobFailure:
    return JobFailure(
        detail="The trained model cannot be exported to ONNX: "
        f"tracing failed with {type(traced).__name__}, capturing with {type(captured).__name__}.",
        code="export-failed",
        remedy="Use a base model of a known family; the log of the attempt has the details.",
        kind="internal",
    )


FORMAT = Format("onnx", (ONNX,), write, lambda source: served_answer(source, "onnx"))
