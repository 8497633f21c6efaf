"""The memory estimate against what PyTorch really keeps, and against arithmetic."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig

from app.preflight.memory import MIB, Load, estimate_memory, length_in_tokens, load_of_documents
from app.preflight.shapes import MINILM, shape_of
from app.preflight.text_cnn import estimate_text_cnn
from app.schemas.datasets import DatasetProfile, SplitCounts, TextLengths
from app.schemas.families import HierarchicalOptions, TextCNNOptions
from app.schemas.hyperparameters import Hyperparameters
from tests.worker.training.small import wishes
from worker.models import textcnn
from worker.models.head import head_parameters
from worker.models.hierarchical import Hierarchical, HierarchicalConfig
from worker.training.optimizer import make_optimizer

LOAD = Load(batch_size=16, max_length=128, labels=3)
SIZES: dict[str, dict[str, int]] = {
    "bert": {"hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 512},
    "distilbert": {"dim": 128, "n_layers": 6, "n_heads": 4, "hidden_dim": 512},
    "roberta": {"hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 512},
}


def kept_for_backward(model: torch.nn.Module, load: Load, *, half: bool) -> int:
    """Add up the bytes that a forward pass saves, the weights themselves left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # else an address could be used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    ids = torch.randint(5, 100, (load.batch_size, load.max_length))
    arithmetic: Any = torch.autocast("cpu", torch.bfloat16) if half else nullcontext()
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, arithmetic, sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        masks = {"attention_mask": torch.ones_like(ids)} if isinstance(model, textcnn.TextCNN) else {}
        model(input_ids=ids, **masks, labels=torch.zeros(load.batch_size, dtype=torch.long))
    return sum(sizes.values())


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activations_are_what_pytorch_keeps(kind: str, precision: str) -> None:
    # Without dropout in the attention, so that a CPU has a fused kernel for it, as GPUs have with it.
    attention = "attention_dropout" if kind == "distilbert" else "attention_probs_dropout_prob"
    config = AutoConfig.for_model(kind, vocab_size=1000, num_labels=3, **{attention: 0.0}, **SIZES[kind])
    model = AutoModelForSequenceClassification.from_config(config).train()
    wishes = Hyperparameters(precision=precision)  # type: ignore[arg-type]
    shape = shape_of(config.to_dict())
    assert shape is not None
    estimate = estimate_memory(shape, wishes, LOAD)
    kept = kept_for_backward(model, LOAD, half=precision == "bf16") / MIB
    assert estimate.activations_mb + estimate.casts_mb == pytest.approx(kept, rel=0.15)


def test_mixed_precision_shrinks_activations_and_nothing_else() -> None:
    full, half = (estimate_memory(MINILM, Hyperparameters(precision=kind), LOAD) for kind in ("fp32", "fp16"))
    assert full.parameters_mb == half.parameters_mb
    assert full.gradients_mb == half.gradients_mb
    assert full.optimizer_mb == half.optimizer_mb == pytest.approx(2 * full.parameters_mb, abs=0.2)
    assert full.casts_mb == 0 < half.casts_mb < full.parameters_mb / 2
    assert half.activations_mb < full.activations_mb


@pytest.mark.parametrize("optim", ["adamw", "adafactor"])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("freeze_base", [True, False])
def test_the_optimizer_remembers_what_pytorch_remembers(optim: Any, kind: str, freeze_base: bool) -> None:
    config = AutoConfig.for_model(kind, vocab_size=1000, num_labels=3, **SIZES[kind])
    model = AutoModelForSequenceClassification.from_config(config)
    shape = shape_of(config.to_dict())
    assert shape is not None
    head = head_parameters(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not freeze_base or name in head or "pooler" in name)
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer = make_optimizer(model, head, wishes(optim=optim))
    optimizer.step()
    kept = sum(value.nbytes for state in optimizer.state.values() for name, value in state.items() if name != "step")
    estimate = estimate_memory(shape, Hyperparameters(optim=optim, freeze_base=freeze_base), LOAD)
    assert estimate.optimizer_mb == pytest.approx(kept / MIB, rel=0.02, abs=0.06)


def test_components_follow_the_wishes() -> None:
    plain = estimate_memory(MINILM, Hyperparameters(), LOAD)
    twice = estimate_memory(MINILM, Hyperparameters(), Load(32, 128, 3))
    thrifty = estimate_memory(MINILM, Hyperparameters(gradient_checkpointing=True), LOAD)
    frozen = estimate_memory(MINILM, Hyperparameters(freeze_base=True), LOAD)
    assert twice.activations_mb == pytest.approx(2 * plain.activations_mb, rel=1e-3)
    assert thrifty.activations_mb < plain.activations_mb / 3
    assert (frozen.activations_mb, frozen.trainable_parameters) == (0, MINILM.head_parameters(3))
    for each in (plain, twice, thrifty, frozen):
        parts = (each.parameters_mb, each.gradients_mb, each.optimizer_mb, each.casts_mb, each.activations_mb)
        assert each.total_mb == pytest.approx(sum(parts), abs=0.3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("sizes", [[3, 4, 5], [2]])
def test_a_textcnn_takes_what_pytorch_keeps(precision: Any, sizes: list[int]) -> None:
    options = TextCNNOptions(vocab_size=1000, embed_size=64, num_filters=40, filter_sizes=sizes)
    model = textcnn.create(options, ["a", "b", "c"], vocabulary=1000, pad_token_id=0).model.train()
    found = estimate_text_cnn(options, Hyperparameters(precision=precision), LOAD, vocabulary=1000)
    assert found.parameters == found.trainable_parameters == sum(each.numel() for each in model.parameters())
    kept = kept_for_backward(model, LOAD, half=precision == "bf16") / MIB
    assert found.activations_mb + found.casts_mb == pytest.approx(kept, rel=0.1, abs=0.06)


@pytest.mark.parametrize("optim", ["adamw", "adafactor"])
@pytest.mark.parametrize("freeze_base", [False, True])
def test_the_optimizer_of_a_textcnn_remembers_what_pytorch_remembers(optim: Any, freeze_base: bool) -> None:
    options = TextCNNOptions(vocab_size=50_000, embed_size=64, num_filters=400)
    model = textcnn.create(options, ["a", "b", "c"], vocabulary=50_000, pad_token_id=0).model
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not freeze_base or name.startswith("classifier"))
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer = make_optimizer(model, head_parameters(model), wishes(optim=optim))
    optimizer.step()
    numbers = sum(
        value.numel()
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and name != "step"
    )
    chosen = Hyperparameters(optim=optim, freeze_base=freeze_base)
    found = estimate_text_cnn(options, chosen, LOAD, vocabulary=50_000)
    assert found.optimizer_mb == pytest.approx(4 * numbers / MIB, abs=0.051)


def test_the_length_is_guessed_within_the_models_limit() -> None:
    assert length_in_tokens(Hyperparameters(max_length=77), 10_000, 512) == 77
    assert length_in_tokens(Hyperparameters(), 350, 512) == 102
    assert length_in_tokens(Hyperparameters(), 10_000, 512) == 512
    assert length_in_tokens(Hyperparameters(), 10_000, 0) == 512
    assert length_in_tokens(Hyperparameters(), 1, 512) == 8


def documents(characters: int) -> DatasetProfile:
    """Give the profile of a dataset whose texts are about so long."""
    counts = SplitCounts(total=9, by_label={"a": 5, "b": 4})
    lengths = TextLengths(p50=1, p90=1, p99=characters, max=characters)
    splits: Any = {"train": counts, "validation": counts}
    return DatasetProfile(
        labels=["a", "b"], splits=splits, text_lengths=lengths, duplicates=0, majority_baseline=0.5, warnings=[]
    )


@pytest.mark.parametrize(
    ("characters", "options", "length", "chunks"),
    [
        (100, {}, 31, 1),
        (1_700, {}, 488, 1),
        (3_500, {}, 512, 2),
        (3_500, {"chunk_length": 128}, 128, 8),
        (3_500, {"chunk_length": 128, "overlap": 64}, 128, 16),
        (200_000, {}, 512, 20),
        (200_000, {"max_chunks": 15}, 512, 15),
    ],
)
def test_documents_are_as_many_chunks_as_they_have(
    characters: int, options: dict[str, Any], length: int, chunks: int
) -> None:
    load = load_of_documents(HierarchicalOptions(**options), Hyperparameters(), documents(characters), 4, 512)
    assert (load.batch_size, load.max_length, load.chunks) == (4, length, chunks)


def test_attention_over_chunks_counts_and_the_pooler_does_not() -> None:
    config = BertConfig(**SIZES["bert"], vocab_size=1000)
    network = HierarchicalConfig(
        encoder=config.to_dict(), attention_size=64, hidden_size=128, vocab_size=1000, num_labels=3
    )
    shape = shape_of(config.to_dict())
    assert shape is not None
    model = Hierarchical(network)
    expected = sum(parameter.numel() for parameter in model.parameters())
    found = estimate_memory(shape.with_attention(64), Hyperparameters(), Load(4, 512, 3, chunks=5))
    assert found.parameters == expected
    one = estimate_memory(shape.with_attention(64), Hyperparameters(), Load(4, 512, 3))
    assert found.activations_mb == pytest.approx(5 * one.activations_mb, rel=1e-2)
    assert shape.with_attention(None).attention == 128
