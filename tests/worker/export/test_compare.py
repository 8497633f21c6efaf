"""The comparison lets the right graph pass and no wrong one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worker.export.small import opinionated_model, rows_of, source_of
from worker.data.batches import Batches
from worker.export.compare import TOLERANCE, Comparison, Reference, compare, reference
from worker.export.formats import onnx
from worker.export.source import Texts, agreement, by_head, most_probable
from worker.models import encoder


@pytest.fixture
def model(tiny_base: Path) -> torch.nn.Module:
    return opinionated_model(tiny_base)


@pytest.fixture
def rows(tiny_base: Path, tmp_path: Path) -> Batches:
    return rows_of(tiny_base, tmp_path)


def compared(exported: torch.nn.Module, asked: torch.nn.Module, rows: Batches, base: Path, folder: Path) -> Comparison:
    """Export one model and compare its graph with another."""
    source = source_of(opinionated_model(base), base, folder)
    onnx.export(exported, folder / "model.onnx", pad_token_id=0, longest=64)
    return compare(reference(asked, rows), onnx.FORMAT.load(source))


def test_the_right_graph_passes(model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path) -> None:
    found = compared(model, model, rows, tiny_base, tmp_path / "bundle")
    assert (found.equal, found.rows, found.label_agreement) == (True, 64, 1.0)
    assert found.max_abs_difference < TOLERANCE / 10


def test_a_graph_with_one_changed_layer_is_told(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    changed = opinionated_model(tiny_base)
    with torch.no_grad():
        changed.get_submodule("bert.encoder.layer.1.output.dense").weight.mul_(1.2)
    assert not compared(model, changed, rows, tiny_base, tmp_path / "bundle").equal


def test_a_mask_that_one_of_them_forgets_is_told(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    class Maskless(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
            return model(input_ids=input_ids, attention_mask=torch.ones_like(attention_mask))

    assert not compared(model, Maskless(), rows, tiny_base, tmp_path / "bundle").equal


def test_a_graph_that_is_not_a_number_is_told(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    broken = opinionated_model(tiny_base)
    torch.nn.init.constant_(broken.classifier.bias, float("nan"))
    assert not compared(broken, model, rows, tiny_base, tmp_path / "bundle").equal


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_takes_datasets_of_any_size(model: torch.nn.Module, tiny_base: Path, tmp_path: Path, count: int) -> None:
    few = rows_of(tiny_base, tmp_path, count)
    assert compared(model, model, few, tiny_base, tmp_path / "bundle").rows == count


def test_sets_of_labels_agree_when_every_label_does(rows: Batches) -> None:
    """Two of three labels reach 0 in the reference; what agrees in the most probable label alone does not agree."""
    known = Reference([Texts.of(rows, np.array([0, 1]))], np.array([[2.0, 1.0, -1.0], [2.0, 1.0, -1.0]], np.float32))
    other = np.array([[2.0, 1.0, -1.0], [2.0, -0.1, -1.0]], np.float32)
    found = compare(known, lambda _: other, lambda logits: logits >= 0)
    assert (found.label_agreement, found.equal) == (0.5, False)
    assert compare(known, lambda _: other).label_agreement == 1.0


def test_a_tie_may_fall_either_way(rows: Batches, tiny_base: Path, tmp_path: Path) -> None:
    """Two labels with nearly the same logit: rounding decides, and that is no fault."""
    one, other = (encoder.load(tiny_base, ["calm", "glad", "sad"]).model.eval() for _ in range(2))
    other.load_state_dict(one.state_dict())
    for model, first, second in ((one, 1e-4, 0.0), (other, 0.0, 1e-4)):
        with torch.no_grad():
            model.classifier.weight[1] = model.classifier.weight[0]
            model.classifier.bias[:] = torch.tensor([first, second, -99.0])
    found = compared(one, other, rows, tiny_base, tmp_path / "bundle")
    assert found.equal
    assert found.label_agreement < 0.1
    assert np.isclose(found.max_abs_difference, 1e-4, rtol=0.1)


def test_labels_are_compared_head_by_head() -> None:
    """Of several tasks, the greatest of all logits says nothing: each head has a label of its own."""
    one = np.array([[5, 0, 1, 2], [5, 0, 1, 2], [5, 0, 1, 2]], np.float32)
    other = np.array([[9, 0, 1, 2], [9, 0, 2, 1], [0, 9, 1, 2]], np.float32)
    heads = by_head([slice(0, 2), slice(2, 4)])
    assert agreement(heads(one), heads(other)) == pytest.approx(1 / 3)
    assert agreement(most_probable(one), most_probable(other)) == pytest.approx(2 / 3)
