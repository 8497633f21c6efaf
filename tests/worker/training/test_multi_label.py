"""The loss of sets of labels: that of torch, in parts that add up."""

import pytest
import torch
from torch.nn import functional

from tests.worker.training.small import wishes
from worker.training.multi_label import LabelwiseLoss

CPU = torch.device("cpu")
LABELS = ["a", "b", "c"]


def case(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(rows)
    return torch.randn(rows, 3), (torch.rand(rows, 3) < 0.4).float()


@pytest.mark.parametrize("cuts", [[7], [1, 6], [3, 2, 2]])
def test_the_parts_of_a_window_add_up_to_the_whole(cuts: list[int]) -> None:
    logits, labels = case(7)
    loss = LabelwiseLoss.of(wishes(class_weights={"a": 1.0, "b": 2.0, "c": 5.0}), LABELS, CPU)
    whole = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=torch.tensor([1.0, 2.0, 5.0]))
    weight = loss.total_weight(labels)
    parts = zip(logits.split(cuts), labels.split(cuts), strict=True)
    assert sum(float(loss.share(*part, weight)) for part in parts) == pytest.approx(float(whole), abs=1e-6)


def test_smoothing_pulls_both_answers_towards_one_half() -> None:
    logits, labels = case(5)
    loss = LabelwiseLoss.of(wishes(label_smoothing_factor=0.2), LABELS, CPU)
    expected = functional.binary_cross_entropy_with_logits(logits, torch.where(labels == 1, 0.9, 0.1))
    assert float(loss.share(logits, labels, loss.total_weight(labels))) == pytest.approx(float(expected), abs=1e-6)


def test_a_class_weight_counts_for_the_rows_that_have_the_label() -> None:
    loss = LabelwiseLoss.of(wishes(class_weights={"a": 3.0, "b": 1.0, "c": 1.0}), LABELS, CPU)
    logits, weight = torch.zeros(1, 3), torch.tensor(1.0)
    without = loss.share(logits, torch.tensor([[0.0, 1.0, 1.0]]), weight)
    with_it = loss.share(logits, torch.tensor([[1.0, 1.0, 1.0]]), weight)
    assert float(with_it - without) == pytest.approx(2 * float(torch.log(torch.tensor(2.0))), abs=1e-6)
