"""Every family's graph answers as the model does: other batch sizes, other lengths, padding, and nothing frozen."""

from contextlib import nullcontext
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
from worker.models.recorded import recorded

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
    onnx.export(model, file, pad_token_id=pad, longest=READS, recorded=recorded)
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


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_padding_and_what_nobody_reads_of_the_last_layer_are_not_computed(family: str, tmp_path: Path) -> None:
    """The products with weights, in their order, each with as many rows as it computes."""
    model = encoder.load(save_base(family, tmp_path / "base"), ["no", "yes"]).model.eval()
    onnx.export(
        model, tmp_path / "model.onnx", pad_token_id=model.config.pad_token_id, longest=READS, recorded=recorded
    )
    assert model.config._attn_implementation == "sdpa", "the model is given back as it came"
    ids, mask = drawn(4, 12, model.config.pad_token_id)
    rows = products(tmp_path / "model.onnx", ids, mask)
    layers, tokens = model.config.num_hidden_layers, int(mask.sum())
    # Of each layer query, key and value together, the output, and two of the feed-forward part.
    assert rows[: 4 * (layers - 1)] == [tokens] * 4 * (layers - 1)
    # Of the last one the query for itself: of first tokens, as all but keys and values.
    assert sorted(rows[4 * (layers - 1) :][:5]) == [4] * 4 + [tokens]
    assert set(rows[4 * layers + 1 :]) == {4}


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_no_layer_asks_for_sizes(family: str, tmp_path: Path) -> None:
    """A runtime takes as long for a step that finds out a size as for some that compute."""
    model = encoder.load(save_base(family, tmp_path / "base"), ["no", "yes"]).model.eval()
    onnx.export(
        model, tmp_path / "model.onnx", pad_token_id=model.config.pad_token_id, longest=READS, recorded=recorded
    )
    nodes = onnx_format.load(tmp_path / "model.onnx").graph.node
    normed = [index for index, node in enumerate(nodes) if node.op_type == "LayerNormalization"]
    assert "Shape" not in {node.op_type for node in nodes[normed[1] :]}


def products(file: Path, ids: Tensor, mask: Tensor) -> list[int]:
    """Give the rows that each product with a matrix of weights computes."""
    model = onnx_format.load(file)
    weights = {tensor.name for tensor in model.graph.initializer}
    found = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and not weights.isdisjoint(node.input)
    ]
    model.graph.output.extend(onnx_format.helper.make_empty_tensor_value_info(name) for name in found)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(found, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    return [int(np.prod(answer.shape[:-1])) for answer in answers]


def test_inputs_and_output_are_named_and_free_in_both_axes(tmp_path: Path) -> None:
    model = encoder.load(save_base("bert", tmp_path / "base"), ["no", "yes"]).model
    onnx.export(model, tmp_path / "model.onnx", pad_token_id=0, longest=READS, recorded=recorded)
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


def test_where_what_is_recorded_in_its_place_fails_the_model_itself_is_traced(tmp_path: Path) -> None:
    model = encoder.load(save_base("bert", tmp_path / "base"), ["no", "yes"]).model.eval()
    file = tmp_path / "model.onnx"
    onnx.export(model, file, pad_token_id=0, longest=READS, recorded=lambda _: nullcontext(Unscriptable()))
    assert onnx_format.load(file).opset_import[0].version == onnx.OPSET, "the slow exporter was not needed"
    ids, mask = drawn(3, 12, 0)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
    np.testing.assert_allclose(served(file, ids, mask), expected, atol=2e-5)


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
