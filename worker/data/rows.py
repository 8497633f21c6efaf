"""The rows of a dataset as they lie on disk: one JSON object a line."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from app.errors import JobFailure
from app.schemas.datasets import SplitName

SPLITS: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(slots=True)
class Rows:
    """One split: texts and, for each, the index of its label."""

    texts: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


def read_rows(file: Path, labels: Sequence[str]) -> dict[SplitName, Rows]:
    """Read every row of ``file``; labels are matched by name, never by position.

    Raises JobFailure ``dataset-changed`` for a row that the service cannot have written, ``no-training-rows``.
    """
    index_of = {name: index for index, name in enumerate(labels)}
    splits: dict[SplitName, Rows] = {name: Rows() for name in SPLITS}
    for number, row in _lines(file):
        split, label, text = row.get("split"), row.get("label"), row.get("text")
        if split not in splits or label not in index_of or not isinstance(text, str):
            raise _changed(number)
        splits[split].texts.append(text)
        splits[split].labels.append(index_of[label])
    if not splits["train"].texts:
        raise JobFailure(
            detail="The dataset has no row in its training split.",
            code="no-training-rows",
            remedy="Upload a dataset with training rows, or without a split column so that it is split for you.",
        )
    return splits


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError:
                raise _changed(number) from None
            if not isinstance(row, dict):
                raise _changed(number)
            yield number, row


def _changed(number: int) -> JobFailure:
    return JobFailure(
        detail=f"Line {number} of the stored dataset is not a row with a text, a known label and a split.",
        code="dataset-changed",
        remedy="Upload the dataset again; the stored copy is damaged.",
        kind="internal",
    )
