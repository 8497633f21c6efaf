"""Evaluation sees every row once, changes nothing, and stops when asked to."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.worker.training.small import LABELS, Small, texts
from worker.evaluation.evaluate import evaluate
from worker.events import Interrupted


def batches(rows: int, size: int):
    source = texts(rows)
    return [source.load(part) for part in np.array_split(np.arange(rows), rows // size)]


def nothing() -> None:
    """Go on."""


def test_loss_is_the_plain_mean_over_rows_whatever_the_batches() -> None:
    torch.manual_seed(1)
    model = Small(dropout=0.5)
    [whole] = batches(30, 30)
    results = [
        evaluate(
            model,
            batches(30, size),
            LABELS,
            split="test",
            device=torch.device("cpu"),
            autocast=nullcontext,
            check=nothing,
        )
        for size in (30, 7, 1)
    ]
    model.eval()
    expected = functional.cross_entropy(model(**whole.inputs).logits, whole.labels)
    assert [result.loss for result in results] == pytest.approx([expected.item()] * 3, rel=1e-6)
    assert {str(result.confusion_matrix) for result in results} == {str(results[0].confusion_matrix)}
    assert results[0].examples == 30
    assert results[0].split == "test"


def test_consumes_no_random_numbers() -> None:
    """Else a run that evaluates more often would train another model."""
    before = torch.get_rng_state()
    evaluate(
        Small(),
        batches(8, 4),
        LABELS,
        split="test",
        device=torch.device("cpu"),
        autocast=nullcontext,
        check=nothing,
    )
    fresh = torch.get_rng_state()
    torch.set_rng_state(before)
    Small()
    assert torch.equal(torch.get_rng_state(), fresh)


def test_can_be_stopped_between_batches() -> None:
    calls = iter([None, None])

    def check() -> None:
        if next(calls, "stop") == "stop":
            raise Interrupted

    with pytest.raises(Interrupted):
        evaluate(
            Small(),
            batches(8, 2),
            LABELS,
            split="test",
            device=torch.device("cpu"),
            autocast=nullcontext,
            check=check,
        )
