"""The golden examples of a bundle: a dozen texts, answered by each of its formats as a server would."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.artifacts.bundle import GOLDEN, SERVED_FILES
from app.schemas.jobs import ServedFormat
from app.schemas.models import ExportVerdict
from app.serving.golden import record
from app.serving.predictor import Predictor
from app.text.tokenizer import TextEncoder
from worker.export.source import Source

ORDINARY = 8
"""Texts of the dataset."""
LONGEST = 200
"""Characters of a text of the dataset; longer ones are passed over, or cut where there are no others."""
LOOKED_AT = 2_000
"""Rows of the dataset that they are chosen from."""
MOST_TOKENS = 600
"""Of the text that is too long: a document in chunks need not be longer than all of them to be read in several."""
UNUSUAL = ("", " \t", "na\u00efve \U0001f600 \u03a9 \u05e9\u05dc\u05d5\u05dd \u4f60\u597d \ufb01 e\u0301")
"""Nothing, next to nothing, and letters of many alphabets."""


def write_golden(source: Source, verdicts: Sequence[ExportVerdict], texts: Sequence[str]) -> None:
    """Answer texts in every format that passed and a server can load, and keep that in the bundle."""
    passed: list[ServedFormat] = [
        name for name in SERVED_FILES if any(each.format == name and each.passed for each in verdicts)
    ]
    predictors: Mapping[ServedFormat, Predictor] = {name: source.predictor(name) for name in passed}
    encoder = predictors["onnx"].encoder
    golden = record(predictors, [*texts, *UNUSUAL, over_long(texts[0] if texts else "text", encoder)])
    (source.folder / GOLDEN).write_text(golden.model_dump_json(), encoding="utf-8")


def ordinary_texts(dataset: Path) -> list[str]:
    """Choose short texts of all lengths, of the validation split if there is one: the same ones every time."""
    found = _first(dataset, "validation") or _first(dataset, "train")
    short = [text for text in found if len(text) <= LONGEST] or [text[:LONGEST] for text in found[:ORDINARY]]
    short = sorted(dict.fromkeys(short), key=lambda text: (len(text), text))
    count = min(ORDINARY, len(short))
    return [short[place * (len(short) - 1) // max(1, count - 1)] for place in range(count)]


def over_long(text: str, encoder: TextEncoder) -> str:
    """Repeat a text until it is longer than one passage that the model reads, or very long."""
    passage = min(encoder.settings.max_length, MOST_TOKENS)
    words = f"{text.strip() or 'text'} "
    count = 1
    while encoder.lengths([words * count])[0] <= passage and len(words) * count < 20 * MOST_TOKENS:
        count *= 2
    return words * count


def _first(dataset: Path, split: str) -> list[str]:
    texts: list[str] = []
    for text in _of(dataset, split):
        texts.append(text)
        if len(texts) == LOOKED_AT:
            break
    return texts


def _of(dataset: Path, split: str) -> Iterator[str]:
    mark = f'"{split}"'.encode()
    with dataset.open("rb") as lines:
        for line in lines:
            if mark in line:  # most rows are of another split, and need not be read
                row = json.loads(line)
                if row.get("split") == split:
                    yield row["text"]
