"""Every family loads from its base weights, with a head for the labels; a head that fits is kept."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.errors import JobFailure
from tests.worker.tiny_models import READS, save_base, tiny_config
from worker.models import encoder
from worker.models.families import FAMILIES, default_rates, position_limit
from worker.models.head import dropout_of, head_parameters, output_layer, set_dropout

LABELS = ["no", "yes", "perhaps"]
families = pytest.mark.parametrize("family", sorted(FAMILIES))


def logits(model: torch.nn.Module, ids: Tensor) -> Tensor:
    """Answer for some ids."""
    model.eval()
    with torch.no_grad():
        answer: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return answer


def saved(model: transformers.PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@families
def test_base_models_get_a_new_head(family: str, tmp_path: Path) -> None:
    folder = save_base(family, tmp_path)
    loaded = encoder.load(folder, LABELS)
    assert not loaded.head_kept
    assert loaded.model.config.id2label == {0: "no", 1: "yes", 2: "perhaps"}
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    base = load_file(folder / "model.safetensors")
    own = loaded.model.base_model.state_dict()
    shared = [name for name in base if name in own]
    assert len(shared) > 10
    assert all(torch.equal(base[name], own[name]) for name in shared)


@families
def test_head_is_what_is_not_pretrained(family: str, tmp_path: Path) -> None:
    model = encoder.load(save_base(family, tmp_path), LABELS).model
    head = head_parameters(model)
    assert {name for name in head if name.startswith(model.base_model_prefix + ".")} == set()
    assert any(
        parameter is output_layer(model, 3).weight for name, parameter in model.named_parameters() if name in head
    )
    assert len(head) < 10


@families
def test_dropout_of_the_head_is_set_and_travels(family: str, tmp_path: Path) -> None:
    model = encoder.load(save_base(family, tmp_path / "base"), LABELS).model
    inside = [m.p for m in model.base_model.modules() if isinstance(m, torch.nn.Dropout)]
    set_dropout(model, 0.37)
    assert dropout_of(model) == 0.37
    assert [m.p for m in model.base_model.modules() if isinstance(m, torch.nn.Dropout)] == inside
    again = encoder.load(saved(model, tmp_path / "again"), LABELS).model
    assert dropout_of(again) == (0.37 if FAMILIES[family].dropout_field else model.config.hidden_dropout_prob)


@families
def test_position_limit_is_exact(family: str) -> None:
    """At the limit the model answers; RoBERTa's kin fall off their table one token further."""
    model = transformers.AutoModelForSequenceClassification.from_config(tiny_config(family))
    limit = position_limit(model.config)
    assert limit == READS
    assert logits(model, torch.full((1, limit), 5)).isfinite().all()
    if FAMILIES[family].shifted_positions:
        with pytest.raises((IndexError, RuntimeError)):
            logits(model, torch.full((1, limit + 1), 5))


def test_trained_head_is_kept_for_equal_labels(tmp_path: Path) -> None:
    trained = encoder.load(save_base("roberta", tmp_path / "base"), LABELS).model
    loaded = encoder.load(saved(trained, tmp_path / "trained"), LABELS)
    assert loaded.head_kept
    ids = torch.randint(5, 400, (4, 9))
    assert torch.equal(logits(loaded.model, ids), logits(trained, ids))


def test_labels_in_another_order_turn_the_head_with_them(tmp_path: Path) -> None:
    trained = encoder.load(save_base("distilbert", tmp_path / "base"), LABELS).model
    torch.nn.init.normal_(output_layer(trained, 3).bias)
    turned = ["perhaps", "no", "yes"]
    loaded = encoder.load(saved(trained, tmp_path / "trained"), turned)
    assert loaded.head_kept
    assert loaded.model.config.id2label == dict(enumerate(turned))
    ids = torch.randint(5, 400, (4, 9))
    assert torch.equal(logits(loaded.model, ids), logits(trained, ids)[:, [2, 0, 1]])


@pytest.mark.parametrize("labels", [["ham", "spam", "eggs"], ["no", "yes"], ["no", "yes", "perhaps", "never"]])
def test_other_labels_get_a_new_head_on_the_trained_encoder(tmp_path: Path, labels: list[str]) -> None:
    trained = encoder.load(save_base("roberta", tmp_path / "base"), LABELS).model
    torch.nn.init.normal_(output_layer(trained, 3).weight, std=9.0)
    torch.nn.init.normal_(trained.classifier.dense.weight, std=9.0)
    loaded = encoder.load(saved(trained, tmp_path / "trained"), labels)
    assert not loaded.head_kept
    assert output_layer(loaded.model, len(labels)).weight.abs().max() < 1.0
    assert loaded.model.classifier.dense.weight.abs().max() < 1.0
    for name, value in trained.base_model.state_dict().items():
        assert torch.equal(loaded.model.base_model.state_dict()[name], value)


def test_new_heads_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    folder = save_base("bert", tmp_path)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(output_layer(encoder.load(folder, LABELS).model, 3).weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_half_precision_weights_are_trained_in_fp32(tmp_path: Path) -> None:
    model = transformers.AutoModel.from_config(tiny_config("bert")).half()
    loaded = encoder.load(saved(model, tmp_path), LABELS)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_incomplete_weights_are_refused_not_drawn_at_random(tmp_path: Path) -> None:
    folder = save_base("bert", tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobFailure) as caught:
        encoder.load(folder, LABELS)
    assert caught.value.code == "incomplete-base-model"
    assert "encoder.layer.1.output.dense.weight" in caught.value.detail


def test_missing_pooler_is_drawn_anew(tmp_path: Path) -> None:
    """Checkpoints of masked language models come without one."""
    folder = save_base("bert", tmp_path)
    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert not encoder.load(folder, LABELS).head_kept


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bart", "vocab_size": 50, "d_model": 16},
        {"model_type": "no-such-model"},
        {"model_type": "no-such-model", "auto_map": {"AutoConfig": "evil.Config"}},
        {"model_type": "vit"},
        {},
    ],
)
def test_what_is_no_encoder_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit")
    with pytest.raises(JobFailure) as caught:
        encoder.load(tmp_path, LABELS)
    assert caught.value.code == "unsupported-base-model"


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    folder = save_base("bert", tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(JobFailure) as caught:
        encoder.load(folder, LABELS)
    assert caught.value.code == "unsupported-base-model"


def test_rates_follow_family_size_and_head() -> None:
    small = default_rates(tiny_config("bert"), head_kept=False)
    assert (small.learning_rate, round(small.learning_rate * small.head_multiplier, 6)) == (3e-4, 1e-3)
    assert default_rates(tiny_config("bert"), head_kept=True).head_multiplier == 1.0
    base = transformers.RobertaConfig(hidden_size=768, num_attention_heads=12)
    large = transformers.RobertaConfig(hidden_size=1024, num_attention_heads=16)
    assert default_rates(base, head_kept=False).learning_rate == 2e-5
    assert default_rates(large, head_kept=False).learning_rate == 1e-5
    assert default_rates(transformers.DistilBertConfig(), head_kept=False).learning_rate == 5e-5
    unknown = default_rates(transformers.FNetConfig(), head_kept=False)
    assert (unknown.learning_rate, unknown.head_multiplier) == (2e-5, 2.0)
    assert "fnet" in unknown.reason
