"""Which layer of its encoder a parameter belongs to, for every family."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from app.schemas.families import TextCNNOptions
from tests.worker.tiny_models import tiny_config
from worker.models import textcnn
from worker.models.depth import depths
from worker.models.head import head_parameters

LAYERED = ["bert", "distilbert", "roberta", "mpnet", "deberta-v2", "deberta", "modernbert", "electra"]


@pytest.mark.parametrize("family", LAYERED)
def test_layers_are_counted_from_the_bottom(family: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(tiny_config(family))
    found = depths(model)
    assert set(found) | head_parameters(model) == {name for name, _ in model.named_parameters()}
    assert not set(found) & head_parameters(model)
    assert set(found.values()) == {0, 1, 2}
    assert {depth for name, depth in found.items() if ".0." in name and "layer" in name} == {1}
    assert {depth for name, depth in found.items() if ".1." in name and "layer" in name} == {2}
    assert all(depth == 0 for name, depth in found.items() if "word_embeddings" in name or "tok_embeddings" in name)
    assert all(depth == 2 for name, depth in found.items() if "pooler" in name or "final_norm" in name)


def test_shared_layers_are_one_or_two_and_never_embeddings() -> None:
    """ALBERT runs one set of weights through all its layers."""
    model = AutoModelForSequenceClassification.from_config(tiny_config("albert"))
    found = depths(model)
    assert {depth for name, depth in found.items() if "albert_layers" in name} == {1}
    assert found["albert.embeddings.word_embeddings.weight"] == 0


def test_convolutions_side_by_side_are_one_layer() -> None:
    model = textcnn.create(TextCNNOptions(), ["a", "b"], vocabulary=40, pad_token_id=0).model
    assert {depth for name, depth in depths(model).items() if "convolutions" in name} == {1}
    assert depths(model)["features.embedding.weight"] == 0
