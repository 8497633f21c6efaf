"""Reads a table once: checks every row, keeps numbers in memory and texts on disk."""

import hashlib
import json
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from app.errors import DatasetRefused, FieldError, PayloadTooLarge
from app.preflight.breaches import Breaches, BrokenRule
from app.preflight.columns import Columns
from app.preflight.messages import Limits
from app.preflight.tables.table import Row, Table

SPLITS = ("train", "validation", "test")
NO_SPLIT = -1
_SPLIT_WORDS = {
    "train": 0,
    "training": 0,
    "validation": 1,
    "dev": 1,
    "val": 1,
    "valid": 1,
    "eval": 1,
    "test": 2,
    "testing": 2,
}
_LONGEST_LABEL = 200

LabelKey = str | int


@dataclass
class Examples:
    """Every row as numbers; row i's text is line i of ``texts``, JSON-encoded."""

    texts: Path
    keys: list[LabelKey]
    """The label values of the file, in the order they were first seen."""
    key_of: npt.NDArray[np.int32]
    """Index into ``keys``, by row; where rows have several labels, by pair of row and label."""
    split: npt.NDArray[np.int8]
    """0 train, 1 validation, 2 test, -1 not said, by row."""
    chars: npt.NDArray[np.int64]
    """Length of the text, by row."""
    digest: npt.NDArray[np.uint64]
    """Hash of text and seed, by row: equal texts have an equal one, and their order is a shuffle."""
    labels_per_row: npt.NDArray[np.int32] | None = None
    """How many labels each row has, in the order of ``key_of``; None: exactly one."""

    def __len__(self) -> int:
        return len(self.split)


class _Collector:
    """Grows the numbers row by row; after the first broken rule it only counts."""

    def __init__(self, columns: Columns, limits: Limits, seed: int, unit: str) -> None:
        self.columns, self.limits = columns, limits
        self.seed = seed.to_bytes(8, "big")
        self.keys: dict[LabelKey, int] = {}
        self.key_of, self.split = array("i"), array("b")
        self.sizes, self.several = array("i"), columns.label_delimiter is not None
        self.chars, self.digest = array("q"), array("Q")
        self.breaches = Breaches(unit, {"text": columns.text, "label": columns.label, "split": columns.split})

    def add(self, place: int, row: Row, out: TextIO) -> None:
        try:
            text = text_of(row.get(self.columns.text), self.limits.max_text_chars)
            label = row.get(self.columns.label)
            several = self.columns.label_delimiter is not None or isinstance(label, list)
            keys = labels_of(label, self.columns.label_delimiter) if several else [label_of(label)]
            split = NO_SPLIT if self.columns.split is None else split_of(row.get(self.columns.split))
        except BrokenRule as broken:
            self.breaches.add(broken.rule, place)
            return
        if self.breaches:
            return
        for key in keys:
            if key not in self.keys and len(self.keys) >= self.limits.max_labels:
                raise _too_many_labels(self.limits.max_labels)
            self.key_of.append(self.keys.setdefault(key, len(self.keys)))
        self.sizes.append(len(keys))
        self.several = self.several or several
        self.split.append(split)
        self.chars.append(len(text))
        digest = hashlib.blake2b(text.encode(), digest_size=8, key=self.seed).digest()
        self.digest.append(int.from_bytes(digest, "big"))
        out.write(json.dumps(text, ensure_ascii=False) + "\n")


def collect(table: Table, columns: Columns, limits: Limits, *, seed: int, texts: Path) -> Examples:
    """Read every row of ``table`` and write its texts to ``texts``.

    Raises DatasetRefused with counts and places when rows break a rule, PayloadTooLarge when there are too many.
    """
    collector = _Collector(columns, limits, seed, table.unit)
    with texts.open("w", encoding="utf-8") as out:
        for number, (place, row) in enumerate(table.rows, start=1):
            if number > limits.max_rows:
                raise _too_many_rows(limits.max_rows)
            collector.add(place, row, out)
    collector.breaches.refuse_if_any()
    if not collector.split:
        code = "empty-dataset" if table.typed else "malformed-csv"
        raise DatasetRefused("The file has no rows.", code=code, remedy="Send at least a few rows a label.")
    return Examples(
        texts,
        list(collector.keys),
        np.asarray(collector.key_of, dtype=np.int32),
        np.asarray(collector.split, dtype=np.int8),
        np.asarray(collector.chars, dtype=np.int64),
        np.asarray(collector.digest, dtype=np.uint64),
        np.asarray(collector.sizes, dtype=np.int32) if collector.several else None,
    )


def text_of(value: Any, longest: int) -> str:
    """Give the text of a row as it is; raises BrokenRule."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BrokenRule("empty-text")
    if not isinstance(value, str):
        raise BrokenRule("text-type")
    if len(value) > longest:
        raise BrokenRule("text-too-long")
    if "\0" in value:
        raise BrokenRule("nul-character")
    return value


def label_of(value: Any) -> LabelKey:
    """Give the label value of a row, trimmed; raises BrokenRule."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BrokenRule("missing-label")
    if isinstance(value, bool):
        raise BrokenRule("boolean-label")
    if isinstance(value, float):
        raise BrokenRule("float-label")
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if not isinstance(value, str) or "\0" in value:
        raise BrokenRule("label-type")
    if len(value.strip()) > _LONGEST_LABEL:
        raise BrokenRule("label-too-long")
    return value.strip()


def labels_of(value: Any, delimiter: str | None) -> list[LabelKey]:
    """Give the label values of a row that may have any number of them, each once; raises BrokenRule."""
    if value is None:
        return []
    if isinstance(value, str) and delimiter is not None:
        value = [part for part in value.split(delimiter) if part.strip()]
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(label_of(item) for item in values))


def split_of(value: Any) -> int:
    """Give the number of the split a row names, or NO_SPLIT; raises BrokenRule."""
    if value is None or value == "":
        return NO_SPLIT
    known = _SPLIT_WORDS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise BrokenRule("invalid-split")
    return known


def _too_many_rows(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The file has more than {most} rows.",
        code="dataset-too-large",
        remedy="Send fewer rows, or raise TUNESMITH_MAX_DATASET_ROWS.",
    )


def _too_many_labels(most: int) -> DatasetRefused:
    return DatasetRefused(
        f"The file has more than {most} different labels.",
        code="invalid-labels",
        remedy="Is label_column the right column? If so, merge rare labels or raise TUNESMITH_MAX_LABELS.",
        errors=(FieldError("/label_column", "too-many-labels", f"must have at most {most} different values"),),
    )
