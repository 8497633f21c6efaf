"""Answers as the version will give them, and the gate that compares them label by label."""

from collections.abc import Iterator

import numpy as np
import torch

from worker.batch import Batch
from worker.export.gate import Bounds, Gate
from worker.export.source import Texts
from worker.judging import Judge
from worker.memory import Portion

LABELS = ["late", "rude", "broken"]
LOGITS = np.array([[3.0, 2.0, -2.0], [3.0, -1.0, -2.0]], np.float32)


def judge(thresholds: list[float] | None) -> Judge:
    return Judge(LABELS, torch.device("cpu"), Portion(8, lambda _: None), lambda: None, thresholds)


class Two:
    """Two rows with sets of labels."""

    def __len__(self) -> int:
        return 2

    def spread(self, count: int) -> np.ndarray:
        return np.arange(min(2, count))

    def packed(self, rows: np.ndarray, pieces: int) -> Iterator[np.ndarray]:
        return (rows[start : start + pieces] for start in range(0, len(rows), pieces))

    def ids(self, rows: np.ndarray) -> list[np.ndarray]:
        return [np.zeros(3, np.int64) for _ in rows]

    def load(self, rows: np.ndarray) -> Batch:
        ids = torch.zeros((len(rows), 3), dtype=torch.long)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return Batch(inputs, torch.tensor([[1.0, 1, 0], [1, 0, 0]]))


def gate(thresholds: list[float] | None) -> Gate:
    judged = judge(thresholds)
    return Gate(Two(), lambda *_: 1.0, Bounds("f1_macro", 0.1, 0.98), lambda: None, judged.decide)


def test_one_label_a_row_is_the_most_probable_and_sets_are_what_reaches_its_threshold() -> None:
    assert judge(None).decide(LOGITS).tolist() == [0, 0]
    assert judge([0.5, 0.2, 0.5]).decide(LOGITS).tolist() == [[True, True, False], [True, True, False]]


def test_the_gate_refuses_what_changes_another_label_than_the_most_probable_one() -> None:
    def exact(_: Texts) -> np.ndarray:
        return LOGITS

    def coarse(_: Texts) -> np.ndarray:
        return LOGITS - np.array([[0.0, 2.5, 0.0], [0.0, 0.0, 0.0]], np.float32)

    found = gate([0.5, 0.5, 0.5]).judge(lambda: exact, coarse)
    assert found.label_agreement == 0.5
    assert found.reason is not None
    assert "min_label_agreement" in found.reason
    assert gate(None).judge(lambda: exact, coarse).reason is None
