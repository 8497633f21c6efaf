"""Every family's graph answers as the model does: other batch sizes, other lengths, padding, and nothing frozen."""

from pathlib import Path

import numpy as np
import onnx as onnx_format
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from app.errors import JobFailure
from tests.worker.tiny_models import READS, save_base
from worker.export.formats import onnx
from worker.export.source import TwoInputs
from worker.models import encoder
from worker.models.families import FAMILIES

SHAPES = [(1, 2), (1, READS), (5, 31), (2, 8), (9, READS), (3, 12)]


def drawn(texts: int, tokens: int, pad: int) -> tuple[Tensor, Tensor]:
    """Draw ids with padding in every second text."""
    ids = torch.randint(5, 400, (texts, tokens))
    mask = torch.ones_like(ids)
    mask[1::2, max(1, tokens // 3) :] = 0
    return torch.where(mask == 1, ids, pad), mask


def served(file: Path, ids: Tensor, mask: Tensor) -> np.ndarray:
    """Answer with onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_graph_answers_as_the_model_at_every_shape(family: str, tmp_path: Path) -> None:
    model = encoder.load(save_base(family, tmp_path / "base"), ["no", "yes", "perhaps"]).model.eval()
    pad = model.config.pad_token_id
    file = tmp_path / "model.onnx"
    onnx.export(model, file, pad_token_id=pad, longest=READS)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.onnx"]
    for texts, tokens in SHAPES:
        ids, mask = drawn(texts, tokens, pad)
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
        np.testing.assert_allclose(served(file, ids, mask), expected, atol=2e-5)
        # The mask counts: what stands behind it changes nothing.
        other = torch.where(mask == 1, ids, 7 if pad != 7 else 8)
        if not FAMILIES[family].shifted_positions:
            np.testing.assert_allclose(served(file, other, mask), expected, atol=2e-5)


def test_inputs_and_output_are_named_and_free_in_both_axes(tmp_path: Path) -> None:
    model = encoder.load(save_base("bert", tmp_path / "base"), ["no", "yes"]).model
    onnx.export(model, tmp_path / "model.onnx", pad_token_id=0, longest=READS)
    graph = onnx_format.load(tmp_path / "model.onnx").graph
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "input_ids": ["batch", "sequence"],
        "attention_mask": ["batch", "sequence"],
        "logits": ["batch", 2],
    }


class Unscriptable(nn.Module):
    """Something that no exporter can take."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> None:
        raise ValueError(f"secret text {input_ids.shape} {attention_mask.shape}")


def test_a_model_that_cannot_be_exported_is_a_failure_that_quotes_nothing(tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        onnx.export(Unscriptable(), tmp_path / "model.onnx", pad_token_id=0, longest=READS)
    assert caught.value.code == "export-failed"
    assert "secret" not in caught.value.detail


@pytest.mark.slow
def test_the_newer_exporter_is_the_way_out(tmp_path: Path) -> None:
    """It is slow and seldom used, so this is what keeps it working."""
    model = encoder.load(save_base("bert", tmp_path / "base"), ["no", "yes"]).model.eval()
    example = onnx.example_inputs(0, READS)
    onnx.capture(TwoInputs(model).eval(), example, tmp_path / "model.onnx", READS)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.onnx"]
    for texts, tokens in SHAPES:
        ids, mask = drawn(texts, tokens, 0)
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
        np.testing.assert_allclose(served(tmp_path / "model.onnx", ids, mask), expected, atol=2e-5)
