"""TextCNN against its definition, under padding, through its export, and on its way to disk and back."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.errors import JobFailure
from app.schemas.families import LONGEST_INPUT, TextCNNOptions
from app.schemas.text import TextOptions
from worker.export import weights
from worker.export.formats import onnx
from worker.export.source import TwoInputs
from worker.models import textcnn
from worker.models.head import dropout_of, head_parameters, output_layer
from worker.models.network import Blueprint

LABELS = ["no", "yes", "perhaps"]
VOCABULARY = 60
PAD = 0


def network(**options: object) -> textcnn.TextCNN:
    """Make a small network with filters of 1 to 5 pieces, and biases that are not zero."""
    torch.manual_seed(5)
    small = {"embed_size": 8, "num_filters": 6, "filter_sizes": [1, 3, 5]} | options
    model = textcnn.create(
        TextCNNOptions.model_validate(small), LABELS, vocabulary=VOCABULARY, pad_token_id=PAD
    ).model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5)
    assert isinstance(model, textcnn.TextCNN)
    return model


MODEL = network()


@torch.no_grad()
def logits(model: textcnn.TextCNN, texts: list[list[int]], *, extra: int = 0, filler: int = PAD) -> Tensor:
    """Answer for texts as ids, padded to the longest and ``extra`` more."""
    width = max(map(len, texts)) + extra
    ids = torch.full((len(texts), width), filler)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
        mask[row, : len(text)] = 1
    answer: Tensor = model(input_ids=ids, attention_mask=mask).logits
    return answer


@torch.no_grad()
def by_definition(model: textcnn.TextCNN, text: list[int]) -> Tensor:
    """Compute equations (2) to (4) of the paper, window by window, for one text."""
    vectors = model.features.embedding.weight[torch.tensor(text, dtype=torch.int64)]  # (seq, embed)
    features = []
    for layer in model.features.convolutions:
        size = layer.kernel_size[0]
        padded = torch.cat([vectors, torch.zeros(max(0, size - len(text)), vectors.shape[1])])
        windows = [padded[start : start + size] for start in range(len(padded) - size + 1)]
        answers = [torch.relu((layer.weight * window.T).sum(dim=(1, 2)) + layer.bias) for window in windows]
        features.append(torch.stack(answers).amax(dim=0))
    return model.classifier(torch.cat(features))


texts = st.lists(st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=20), min_size=1, max_size=5)


@settings(max_examples=60)
@given(texts)
def test_logits_are_those_of_the_definition(texts: list[list[int]]) -> None:
    expected = torch.stack([by_definition(MODEL, text) for text in texts])
    torch.testing.assert_close(logits(MODEL, texts), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=60)
@given(texts, st.integers(0, 40), st.integers(0, VOCABULARY - 1))
def test_padding_changes_nothing_whatever_it_is_filled_with(texts: list[list[int]], extra: int, filler: int) -> None:
    alone = torch.cat([logits(MODEL, [text]) for text in texts])
    torch.testing.assert_close(logits(MODEL, texts, extra=extra, filler=filler), alone, atol=1e-6, rtol=1e-5)


def test_a_text_of_nothing_has_an_answer() -> None:
    assert torch.isfinite(logits(MODEL, [[], [1, 2]])).all()
    torch.testing.assert_close(logits(MODEL, [[]]), logits(MODEL, [[]], extra=9))


@pytest.mark.parametrize("exporter", [onnx.trace, pytest.param(onnx.capture, marks=pytest.mark.slow)])
def test_the_export_answers_alike_at_every_shape(tmp_path: Path, exporter) -> None:
    file = tmp_path / "model.onnx"
    longest = () if exporter is onnx.trace else (LONGEST_INPUT,)
    exporter(TwoInputs(MODEL).eval(), onnx.example_inputs(PAD, 100), file, *longest)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    shortest = 1 if exporter is onnx.trace else 2
    for batch, width in [(1, shortest), (1, 2), (1, 4), (1, 5), (2, 3), (7, 33), (3, 12), (1, 700)]:
        lengths = random.integers(1, width + 1, size=batch)
        lengths[0] = width
        mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
        ids = random.integers(1, VOCABULARY, size=(batch, width)) * mask
        (served,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        with torch.no_grad():
            expected = MODEL(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
        assert served.shape == (batch, len(LABELS))
        np.testing.assert_allclose(served, expected.numpy(), atol=1e-5)


def test_the_head_is_the_classifier_alone() -> None:
    assert head_parameters(MODEL) == {"classifier.weight", "classifier.bias"}
    assert output_layer(MODEL, 3) is MODEL.classifier
    assert dropout_of(network(dropout=0.25)) == 0.25


def test_the_paper_s_size_is_the_default() -> None:
    model = textcnn.create(TextCNNOptions(), ["no", "yes"], vocabulary=30522, pad_token_id=0).model
    sizes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters() if name.endswith("weight")}
    assert sizes == {
        "features.embedding.weight": (30522, 128),
        "features.convolutions.0.weight": (100, 128, 3),
        "features.convolutions.1.weight": (100, 128, 4),
        "features.convolutions.2.weight": (100, 128, 5),
        "classifier.weight": (2, 300),
    }
    assert dropout_of(model) == 0.5
    assert not model.features.embedding.weight[0].any()


def test_it_learns_which_pieces_tell_the_labels_apart() -> None:
    torch.manual_seed(1)
    model = network(dropout=0.0).train()
    random = np.random.default_rng(2)
    ids = torch.from_numpy(random.integers(10, VOCABULARY, size=(96, 12)))
    labels = torch.arange(96) % 3
    ids[torch.arange(96), torch.from_numpy(random.integers(0, 12, size=96))] = labels + 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(ids, torch.ones_like(ids)).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.eval()(ids, torch.ones_like(ids)).logits.argmax(dim=1) == labels).all()
    assert not model.features.embedding.weight[PAD].any(), "the padding row is never trained"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The network on disk, as a bundle holds it."""
    weights.save(MODEL, tmp_path / "weights")
    return tmp_path / "weights"


def test_what_is_saved_comes_back_with_its_head(saved: Path) -> None:
    again = textcnn.load(saved, LABELS)
    assert again.head_kept
    assert torch.equal(logits(again.model.eval(), [[1, 2, 3]]), logits(MODEL, [[1, 2, 3]]))
    assert json.loads((saved / "config.json").read_bytes())["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}


def test_the_same_labels_in_another_order_keep_their_rows(saved: Path) -> None:
    again = textcnn.load(saved, ["perhaps", "no", "yes"])
    assert again.head_kept
    assert torch.equal(logits(again.model.eval(), [[1, 2, 3]]), logits(MODEL, [[1, 2, 3]])[:, [2, 0, 1]])
    assert again.model.config.id2label == {0: "perhaps", 1: "no", 2: "yes"}


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "b"]])
def test_other_labels_get_a_new_head_on_the_old_features(saved: Path, labels: list[str]) -> None:
    again = textcnn.load(saved, labels)
    assert not again.head_kept
    assert again.model.classifier.weight.shape[0] == len(labels)
    assert torch.equal(again.model.features.embedding.weight, MODEL.features.embedding.weight)
    rows = again.model.classifier.weight
    assert not torch.equal(rows, MODEL.classifier.weight[: len(labels)])


def test_a_job_that_goes_on_from_a_version_has_the_dropout_it_asks_for(saved: Path, tmp_path: Path) -> None:
    (saved / "tokenizer.json").write_text("{}")
    blueprint = Blueprint(
        LABELS, "single_label", base=saved, texts=[], text=TextOptions(), scratch=tmp_path, check=lambda: None
    )
    went_on = textcnn.build(TextCNNOptions(dropout=0.25), blueprint)
    assert went_on.head_kept
    assert (dropout_of(went_on.model), went_on.model.config.dropout) == (0.25, 0.25)


def test_an_incomplete_or_foreign_folder_is_refused(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    del tensors["features.embedding.weight"]
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    for folder in (saved, tmp_path / "nothing"):
        with pytest.raises(JobFailure) as failure:
            textcnn.load(folder, LABELS)
        assert failure.value.code == "unsupported-base-model"


@pytest.mark.parametrize("sizes", [[], [3, 3], [0], [33]])
def test_impossible_filter_sizes_are_refused(sizes: list[int]) -> None:
    with pytest.raises(ValidationError):
        TextCNNOptions(filter_sizes=sizes)
