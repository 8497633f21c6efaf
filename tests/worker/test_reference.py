"""The reference of a version: how it answered its rows, counted in a way that serving counts too."""

from pathlib import Path

import numpy as np

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.app.serving.tiny import PAD, tokenizer
from tests.worker.test_judging import LABELS, judge
from worker.reference import reference_of

LOGITS = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.2, 0.1, 0.0]], np.float32)
TEXTS = ["good", "the film " * 10, "bad film", "a row that was not kept"]


def encoder(tmp_path: Path) -> TextEncoder:
    (tmp_path / "tokenizer.json").write_text(tokenizer().to_str())
    settings = TokenizerSettings(max_length=16, pad_token_id=PAD)
    return TextEncoder.from_files(tmp_path / "tokenizer.json", settings, TextOptions())


def test_one_label_a_row(tmp_path: Path) -> None:
    found = reference_of(judge(None), encoder(tmp_path), "test", LOGITS, TEXTS)
    assert (found.split, found.texts) == ("test", 3)
    assert found.labels == {LABELS[0]: 2, LABELS[1]: 1}
    assert found.confidence == [0, 0, 0, 1, 0, 0, 0, 0, 0, 2], "the third is barely above a third"
    assert found.tokens == [2, 0, 1, *([0] * 8)], "the long text counts 22 tokens, before it is cut"


def test_sets_of_labels(tmp_path: Path) -> None:
    logits = np.array([[3.0, 3.0, -3.0], [-3.0, -3.0, -3.0]], np.float32)
    found = reference_of(judge([0.5, 0.5, 0.5]), encoder(tmp_path), "validation", logits, TEXTS)
    assert found.labels == {"": 1, LABELS[0]: 1, LABELS[1]: 1}
    assert found.confidence == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
