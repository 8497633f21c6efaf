"""Linear layers by another library: the same answers, where nothing learns, and only where that is sooner."""

import pytest
import torch
from torch import nn

from tests.conformance.test_packing import FAMILIES, batch, classifier
from worker import products
from worker.models.packed import packed
from worker.products import is_faster, quick_products

CPU = torch.device("cpu")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The other library is taken to be faster; gives what shapes it was asked for."""
    asked: list[torch.Size] = []
    usual = products._linear

    def noted(rows: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        asked.append(rows.shape)
        return usual(rows, *others)

    monkeypatch.setattr(products, "is_faster", lambda: True)
    monkeypatch.setattr(products, "_linear", noted)
    return asked


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_answers_alike(family: str, calls: list[torch.Size]) -> None:
    model = classifier(family).eval()
    with torch.inference_mode():
        for asked in (model, packed(model)):
            expected = asked(**batch(model)).logits
            assert not calls
            with quick_products(CPU):
                found = asked(**batch(model)).logits
            assert (found - expected).abs().max() < 1e-5
            assert len(calls) >= 6 * 2  # of two layers
            calls.clear()


@pytest.mark.parametrize("shape", [(5,), (0, 5), (1, 5), (3, 5), (2, 1, 3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_any_shape_is_answered_alike(shape: tuple[int, ...], bias: bool, calls: list[torch.Size]) -> None:
    layer, rows = nn.Linear(5, 4, bias=bias), torch.randn(shape)
    with torch.inference_mode():
        expected = layer(rows)
        with quick_products(CPU):
            torch.testing.assert_close(layer(rows), expected)
    assert calls == [torch.Size(shape)]


def test_what_learns_and_what_is_not_fp32_is_left_to_torch(calls: list[torch.Size]) -> None:
    layer = nn.Linear(5, 4)
    with quick_products(CPU):
        layer(torch.randn(3, 5)).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        with quick_products(CPU):
            assert layer.bfloat16()(torch.randn(3, 5).bfloat16()).dtype == torch.bfloat16
        with torch.autocast("cpu", torch.bfloat16), quick_products(CPU):
            assert layer.float()(torch.randn(3, 5)).dtype == torch.bfloat16
        with quick_products(torch.device("meta")):
            layer(torch.randn(3, 5))
    assert not calls


@pytest.mark.parametrize(("ours", "theirs", "faster"), [(1.0, 2.0, True), (1.0, 1.2, False), (2.0, 1.0, False)])
def test_it_is_measured(ours: float, theirs: float, faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "best_in_turns", lambda _works, _seconds: [theirs, ours])
    assert is_faster.__wrapped__() is faster


def test_without_that_library_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: torch.Tensor) -> torch.Tensor:
        raise AttributeError

    monkeypatch.setattr(products, "_linear", missing)
    assert is_faster.__wrapped__() is False
