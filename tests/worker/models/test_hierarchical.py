"""The hierarchical network against a plain loop over chunks, under padding, exported, and to disk and back."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.errors import JobFailure
from app.schemas.families import HierarchicalOptions
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.worker.export.small import draft, gate_of, nothing
from tests.worker.tiny_models import READS, save_base
from tests.worker.toy_task import LABELS, VOCABULARY, toy_rows, write_rows
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.facts import Chunking, Facts, ModelFacts
from worker.data.resolve import resolve
from worker.data.rows import read_rows
from worker.export import latency, weights
from worker.export.exporter import Exporter
from worker.export.source import Source
from worker.models import encoder, hierarchical, reading
from worker.models.depth import depths
from worker.models.families import default_rates, position_limit
from worker.models.head import between_parameters, dropout_of, head_parameters
from worker.models.registry import load_trained
from worker.training.freezing import Freezing
from worker.training.optimizer import PEAK, make_optimizer

Document = list[list[int]]
SETTINGS = TokenizerSettings(max_length=10, pad_token_id=0, long_text="hierarchical", max_chunks=4)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Base models by family, each made once."""
    return cache(lambda family: save_base(family, tmp_path_factory.mktemp(family)))


def network(base: Path, labels: list[str] = LABELS) -> hierarchical.Hierarchical:
    """Make a network of opinions: as it is drawn, all its chunks weigh alike and all logits are near zero."""
    torch.manual_seed(5)
    model = hierarchical.around(HierarchicalOptions(attention_size=16), base, labels).model.eval()
    for layer in (model.attention.projection, model.attention.context, model.classifier):
        torch.nn.init.normal_(layer.weight, std=1.0)
    assert isinstance(model, hierarchical.Hierarchical)
    return model


def documents(seed: int = 1) -> list[Document]:
    """Draw documents of one to four chunks, all full but the last."""
    random = np.random.default_rng(seed)
    return [
        [random.integers(5, VOCABULARY, size=10).tolist() for _ in range(count - 1)]
        + [random.integers(5, VOCABULARY, size=random.integers(2, 11)).tolist()]
        for count in (1, 3, 2, 4)
    ]


@torch.no_grad()
def answers(
    model: hierarchical.Hierarchical,
    texts: list[Document],
    *,
    tokens: int = 0,
    chunks: int = 0,
    filler: int | None = None,
) -> Tensor:
    """Answer for documents in one batch, with so much more padding."""
    pad = model.config.pad_token_id if filler is None else filler
    flat = [chunk for text in texts for chunk in text]
    width = max(map(len, flat)) + tokens
    ids = torch.tensor([chunk + [pad] * (width - len(chunk)) for chunk in flat])
    mask = torch.tensor([[1] * len(chunk) + [0] * (width - len(chunk)) for chunk in flat])
    index = torch.full((len(texts), max(map(len, texts)) + chunks), -1)
    start = 0
    for row, text in enumerate(texts):
        index[row, : len(text)] = torch.arange(start, start + len(text))
        start += len(text)
    answer: Tensor = model(input_ids=ids, attention_mask=mask, chunk_index=index).logits
    return answer


@torch.no_grad()
def by_definition(model: hierarchical.Hierarchical, text: Document) -> Tensor:
    """Read one chunk after the other, alone, and weigh them as Yang et al. do, equations (8) to (10)."""
    vectors = [
        model.encoder(
            input_ids=torch.tensor([chunk]), attention_mask=torch.ones(1, len(chunk), dtype=torch.int64)
        ).last_hidden_state[0, 0]
        for chunk in text
    ]
    seen = [torch.tanh(model.attention.projection.weight @ v + model.attention.projection.bias) for v in vectors]
    scores = torch.stack([model.attention.context.weight[0] @ u for u in seen])
    shares = scores.exp() / scores.exp().sum()
    document = sum(share * vector for share, vector in zip(shares, vectors, strict=True))
    return model.classifier.weight @ document + model.classifier.bias


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "deberta-v2", "modernbert", "mpnet"])
def test_it_answers_as_a_plain_loop_over_chunks(family: str, bases: Any) -> None:
    model = network(bases(family))
    expected = torch.stack([by_definition(model, text) for text in documents()])
    assert expected.std() > 0.3
    torch.testing.assert_close(answers(model, documents()), expected, atol=1e-5, rtol=1e-4)
    assert position_limit(model.config) == READS
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_padding_of_tokens_and_of_chunks_changes_nothing(bases: Any) -> None:
    model = network(bases("bert"))
    alone = torch.cat([answers(model, [text]) for text in documents()])
    for more in ({}, {"tokens": 9}, {"chunks": 3}, {"tokens": 4, "chunks": 5, "filler": 7}):
        torch.testing.assert_close(answers(model, documents(), **more), alone, atol=1e-5, rtol=1e-4)


def test_every_chunk_counts_and_a_document_s_chunks_are_its_own(bases: Any) -> None:
    model = network(bases("bert"))
    before = answers(model, documents())
    texts = documents()
    for place in range(4):
        changed = [list(text) for text in texts]
        changed[3][place] = [6, 7, 8]
        moved = (answers(model, changed) - before).abs().amax(dim=1)
        assert moved[3] > 1e-3
        assert moved[:3].max() < 1e-5


def test_checkpointing_changes_no_gradient(bases: Any) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = network(bases("roberta")).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        ids = torch.arange(5, 35).reshape(3, 10)
        index = torch.tensor([[0, 1], [2, -1]])
        model(ids, torch.ones_like(ids), index).logits.logsumexp(dim=1).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert all(gradient is not None for gradient in gradients[0].values()), "what never learns should not be there"
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def decided(**wishes: Any) -> Any:
    facts = ModelFacts(64, VOCABULARY, 0, 2e-5, 5.0, "", 0.1, "fp32", "", Chunking("auto", 4, 0))
    lengths = np.array([5, 600])
    return resolve(Hyperparameters(**wishes), Facts({"a": 50, "b": 50}, lengths, facts)).hyperparameters


def test_encoder_and_attention_share_a_rate_and_the_head_has_twice_that(bases: Any) -> None:
    model = network(bases("bert"))
    head, between = head_parameters(model), between_parameters(model)
    assert head == {"classifier.weight", "classifier.bias"}
    assert between == {"attention.projection.weight", "attention.projection.bias", "attention.context.weight"}
    wishes = decided(learning_rate=2e-5, head_learning_rate_multiplier=2.0, layerwise_lr_decay=0.5)
    rates = {
        id(parameter): group[PEAK]
        for group in make_optimizer(model, head, wishes, depths(model)).param_groups
        for parameter in group["params"]
    }
    by_name = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert by_name["classifier.weight"] == pytest.approx(4e-5)
    assert {by_name[name] for name in between} == {2e-5}
    assert by_name["encoder.encoder.layer.1.output.dense.weight"] == pytest.approx(2e-5)
    assert by_name["encoder.encoder.layer.0.output.dense.weight"] == pytest.approx(1e-5)
    assert by_name["encoder.embeddings.word_embeddings.weight"] == pytest.approx(0.5e-5)


@pytest.mark.parametrize("wish", [{"freeze_base": True}, {"unfreeze_schedule": {"1": 1, "2": "all"}}])
def test_a_frozen_base_leaves_attention_and_head_open(wish: dict[str, Any], bases: Any) -> None:
    model = network(bases("bert"))
    new = head_parameters(model) | between_parameters(model)
    freezing = Freezing(model, new, depths(model), decided(**wish))

    def learning(epoch: int) -> set[str]:
        freezing.enter(epoch)
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    assert learning(0) == new
    if "unfreeze_schedule" in wish:
        assert {name.split(".")[3] for name in learning(1) - new} == {"1"}
        assert len(learning(2)) == len(list(model.parameters()))


def test_rates_are_those_of_the_encoder_inside(bases: Any) -> None:
    model = network(bases("roberta"))
    assert default_rates(model.config, head_kept=False) == default_rates(model.encoder.config, head_kept=False)
    assert dropout_of(model) == 0.1


@pytest.fixture
def saved(tmp_path: Path, bases: Any) -> Path:
    """A network on disk, as a bundle holds it."""
    weights.save(network(bases("bert")), tmp_path / "weights")
    return tmp_path / "weights"


def test_what_is_saved_comes_back_with_its_head_and_says_how_to_be_asked(
    saved: Path, tiny_base: Path, bases: Any
) -> None:
    model = network(bases("bert"))
    for again in (hierarchical.load(saved, LABELS), load_trained(saved, LABELS)):
        assert again.head_kept
        assert torch.equal(answers(again.model.eval(), documents()), answers(model, documents()))
    reading.note(model.config, SETTINGS)
    weights.save(model, saved)
    config = hierarchical.load(saved, LABELS).model.config
    assert reading.settings_of(config, tiny_base / "tokenizer.json") == SETTINGS
    assert config.id2label == dict(enumerate(LABELS))


def test_labels_in_another_order_keep_their_rows_and_other_labels_only_what_is_below(saved: Path, bases: Any) -> None:
    before = answers(network(bases("bert")), documents())
    turned = hierarchical.load(saved, [LABELS[2], LABELS[0], LABELS[1]])
    assert turned.head_kept
    assert torch.equal(answers(turned.model.eval(), documents()), before[:, [2, 0, 1]])
    other = hierarchical.load(saved, ["a", "b"])
    assert not other.head_kept
    assert other.model.classifier.weight.shape == (2, 32)
    kept = network(bases("bert")).attention.projection.weight
    assert torch.equal(other.model.attention.projection.weight, kept)


def test_it_starts_from_a_trained_encoder_too(tmp_path: Path, bases: Any) -> None:
    torch.manual_seed(1)
    trained = encoder.load(bases("distilbert"), LABELS).model
    with torch.no_grad():
        trained.distilbert.embeddings.word_embeddings.weight.add_(1.0)
    weights.save(trained, tmp_path / "trained")
    model = network(tmp_path / "trained")
    assert torch.equal(
        model.encoder.embeddings.word_embeddings.weight, trained.distilbert.embeddings.word_embeddings.weight
    )


@pytest.mark.parametrize("lost", ["encoder.embeddings.word_embeddings.weight", "attention.context.weight"])
def test_an_incomplete_network_is_refused(lost: str, saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    del tensors[lost]
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobFailure) as failure:
        hierarchical.load(saved, LABELS)
    assert failure.value.code == "unsupported-base-model"


def test_a_folder_of_another_family_is_told_from_one_of_this(saved: Path, bases: Any) -> None:
    assert hierarchical.is_hierarchical(saved)
    assert not hierarchical.is_hierarchical(bases("bert"))
    assert json.loads((saved / "config.json").read_bytes())["encoder"]["model_type"] == "bert"


@pytest.mark.slow
def test_every_format_passes_its_gate(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is written, loaded as its users would, and compared with the model on documents of one to four chunks."""
    monkeypatch.setattr(latency, "SECONDS", 0.01)
    model = network(tiny_base)
    reading.note(model.config, SETTINGS)
    text_encoder = TextEncoder.from_files(tiny_base / "tokenizer.json", SETTINGS, TextOptions())
    split = read_rows(write_rows(tmp_path / "rows.jsonl", toy_rows(60)), LABELS)["train"]
    rows = Batches(encode(split, text_encoder, vocabulary=VOCABULARY, check=nothing), text_encoder)
    folder = tmp_path / "bundle"
    folder.mkdir()
    shutil.copy(tiny_base / "tokenizer.json", folder)
    weights.save(model, folder / "weights")
    source = Source(
        model=model,
        folder=folder,
        draft=draft(SETTINGS),
        pad_token_id=0,
        longest=64,
        reload=lambda place: hierarchical.load(place, LABELS).model,
    )
    gate = gate_of(rows, max_metric_drop=0.1, min_label_agreement=0.9)
    verdicts = Exporter(source, rows, gate, nothing, lambda warning: None).export(
        ["onnx", "onnx-int8", "onnx-fp16", "torchscript", "torch-export", "safetensors"]
    )
    assert [(verdict.format, verdict.reason) for verdict in verdicts if not verdict.passed] == []
    exact = [verdict for verdict in verdicts if verdict.format not in ("onnx-int8", "onnx-fp16")]
    assert all(verdict.max_abs_difference is not None and verdict.max_abs_difference < 1e-4 for verdict in exact)
