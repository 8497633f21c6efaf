"""What a job that goes on from an own version takes of memory: the sizes are those of the version."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from app.artifacts.file import FileStore
from app.errors import AppError
from app.preflight.base_models import BaseModels
from app.preflight.jobs import JobPreflight
from app.preflight.shapes import Shapes, shape_of
from app.preflight.stored_configs import StoredConfigs
from app.schemas.families import TextCNNOptions
from app.schemas.jobs import BaseModelRef, TrainJobRequest
from app.schemas.plans import MemoryEstimate
from app.settings import Settings
from app.store import datasets, models
from worker.models import textcnn
from worker.models.hierarchical import Hierarchical, HierarchicalConfig

BERT = BertConfig(
    vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=2
)


@pytest.fixture
def keep(sqlite_store, tmp_path: Path) -> Callable[..., StoredConfigs]:
    """Publish a version of a family with this config, and give the reader of it."""

    def keep(family: str, config: dict[str, Any] | None, *, size: int | None = None) -> StoredConfigs:
        sqlite_store.publish(sqlite_store.running())
        content = json.dumps(config)
        with sqlite_store.database.transaction() as session:
            version = models.get_version(session, "mood", 1)
            place = tmp_path / "artifacts" / version.artifact_prefix / "weights" / "config.json"
            files = {"weights/config.json": {"bytes": size or len(content), "sha256": ""}}
            version.manifest = version.manifest | {"family": family, "files": files}
        if config is not None:
            place.parent.mkdir(parents=True)
            place.write_text(content)
        return StoredConfigs(sqlite_store.database, FileStore(tmp_path / "artifacts"))

    return keep


@pytest.fixture
def plan(sqlite_store, new_dataset, make_settings: Callable[..., Settings]) -> Callable[..., MemoryEstimate | None]:
    """Say what a job from the version takes."""

    def plan(stored: StoredConfigs, family: Any, **hyperparameters: Any) -> MemoryEstimate | None:
        counts = {"total": 40, "by_label": {"a": 20, "b": 20}}
        dataset = new_dataset("ds_9")
        dataset.profile = {
            "labels": ["a", "b"],
            "splits": {"train": counts, "validation": counts, "test": counts},
            "text_lengths": {"p50": 50, "p90": 90, "p99": 120, "max": 130},
            "duplicates": 0,
            "majority_baseline": 0.5,
            "warnings": [],
        }
        sqlite_store.do(datasets.insert, dataset)
        settings = make_settings()
        preflight = JobPreflight(
            sqlite_store.database, BaseModels(settings, sqlite_store.database), Shapes(settings, stored)
        )
        wishes = {"family": family, "base_model": "model:mood", "hyperparameters": hyperparameters}
        body = {"model": "m", "dataset_id": "ds_9"} | wishes
        return preflight.memory(preflight.prepare(TrainJobRequest.model_validate(body)))

    return plan


def numbers(model: Any) -> int:
    """Count what a network is made of."""
    return sum(parameter.numel() for parameter in model.parameters())


def test_an_encoder_has_the_shape_of_the_version(keep, plan) -> None:
    estimate = plan(keep("encoder", BERT.to_dict()), "encoder")
    assert estimate is not None
    shape = shape_of(BERT.to_dict())
    assert shape is not None
    assert estimate.parameters == shape.parameters(2)


def test_a_hierarchical_version_decides_how_wide_its_attention_is(keep, plan) -> None:
    config = HierarchicalConfig(encoder=BERT.to_dict(), attention_size=48, hidden_size=32, vocab_size=120, num_labels=2)
    estimate = plan(keep("hierarchical", config.to_dict()), "hierarchical")
    assert estimate is not None
    assert estimate.parameters == numbers(Hierarchical(config))


def test_a_textcnn_version_decides_all_sizes(keep, plan) -> None:
    options = TextCNNOptions(embed_size=8, num_filters=10, filter_sizes=[2, 7])
    model = textcnn.create(options, ["a", "b"], vocabulary=432, pad_token_id=0).model
    estimate = plan(keep("textcnn", model.config.to_dict()), "textcnn")
    assert estimate is not None
    assert estimate.parameters == numbers(model)


def test_a_version_of_another_family_lends_a_textcnn_its_vocabulary(keep, plan) -> None:
    family = {"type": "textcnn", "tokenizer": "base_model", "embed_size": 8, "num_filters": 10, "filter_sizes": [3]}
    estimate = plan(keep("encoder", BERT.to_dict()), family)
    assert estimate is not None
    options = TextCNNOptions.model_validate(family)
    assert estimate.parameters == numbers(textcnn.create(options, ["a", "b"], vocabulary=120, pad_token_id=0).model)


def test_a_text_longer_than_the_version_reads_is_refused_before_a_worker_is_asked(keep, plan) -> None:
    stored = keep("encoder", BERT.to_dict() | {"max_position_embeddings": 64})
    with pytest.raises(AppError) as refused:
        plan(stored, "encoder", max_length=65)
    assert refused.value.errors[0].pointer == "/hyperparameters/max_length"


@pytest.mark.parametrize(("config", "size"), [(None, None), ({"model_type": "bert"}, None), (BERT.to_dict(), 2**30)])
def test_a_config_that_cannot_be_read_leaves_the_memory_unknown(keep, plan, config, size) -> None:
    assert plan(keep("encoder", config, size=size), "encoder") is None


def test_a_config_is_read_once(keep, tmp_path: Path) -> None:
    stored = keep("encoder", {"hidden_size": 8})
    ref = BaseModelRef(id="model:mood", source="version", revision="1")
    assert stored.of(ref) == {"hidden_size": 8}
    next((tmp_path / "artifacts").rglob("config.json")).unlink()
    assert stored.of(ref) == {"hidden_size": 8}
