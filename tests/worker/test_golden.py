"""Which texts become golden examples."""

import json
from pathlib import Path

import pytest

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.app.serving.tiny import tokenizer
from worker.golden import LONGEST, ORDINARY, ordinary_texts, over_long


def dataset(folder: Path, splits: dict[str, list[str]]) -> Path:
    file = folder / "rows.jsonl"
    rows = [{"text": text, "label": "a", "split": split} for split, texts in splits.items() for text in texts]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def test_short_ones_of_all_lengths_of_the_validation_split(tmp_path: Path) -> None:
    file = dataset(tmp_path, {"train": ['"validation"'], "validation": ["x" * n for n in range(1, LONGEST + 100)]})
    texts = ordinary_texts(file)
    assert len(texts) == ORDINARY
    assert (texts[0], texts[-1]) == ("x", "x" * LONGEST)
    assert texts == ordinary_texts(file)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": ["a", "a", "bb"], "test": ["c"]}, ["a", "bb"]),
        ({"train": ["a"], "validation": ["y" * 500]}, ["y" * LONGEST]),
    ],
)
def test_few_rows_give_what_they_have(tmp_path: Path, splits: dict[str, list[str]], expected: list[str]) -> None:
    assert ordinary_texts(dataset(tmp_path, splits)) == expected


@pytest.mark.parametrize("settings", [{}, {"long_text": "head_tail"}, {"max_chunks": 3}])
def test_one_is_longer_than_a_passage(settings: dict[str, object]) -> None:
    encoder = TextEncoder(
        tokenizer(), TokenizerSettings.model_validate({"max_length": 16, "pad_token_id": 0} | settings), TextOptions()
    )
    for text in ("good film", "  "):
        assert 16 < encoder.lengths([over_long(text, encoder)])[0] < 64
