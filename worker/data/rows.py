"""The rows of a dataset as they lie on disk: one JSON object a line."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from app.errors import JobFailure
from app.schemas.datasets import ProblemType, SplitName

SPLITS: tuple[SplitName, ...] = get_args(SplitName)


Target = int | tuple[int, ...]
"""The index of a row's label; of multi_label those of all its labels, in order."""


@dataclass(slots=True)
class Rows:
    """One split: texts and, for each, what it should be answered with."""

    texts: list[str] = field(default_factory=list)
    labels: list[Target] = field(default_factory=list)
    difficulties: list[float] = field(default_factory=list)
    """How hard each row is; empty when the dataset does not say."""
    slices: list[Mapping[str, str]] = field(default_factory=list)
    """Of a split that is held out: the values of each row by slice column; empty when the dataset has none."""


def read_rows(file: Path, labels: Sequence[str], problem_type: ProblemType = "single_label") -> dict[SplitName, Rows]:
    """Read every row of ``file``; labels are matched by name, never by position.

    Raises JobFailure ``dataset-changed`` for a row that the service cannot have written, ``no-training-rows``.
    """
    index_of = {name: index for index, name in enumerate(labels)}
    splits: dict[SplitName, Rows] = {name: Rows() for name in SPLITS}
    for number, row in _lines(file):
        split, text, target = row.get("split"), row.get("text"), _target(row, index_of, problem_type)
        if split not in splits or target is None or not isinstance(text, str):
            raise _changed(number)
        splits[split].texts.append(text)
        splits[split].labels.append(target)
        if "difficulty" in row:
            splits[split].difficulties.append(float(row["difficulty"]))
        if split != "train" and "slices" in row:
            splits[split].slices.append(row["slices"])
    if not splits["train"].texts:
        raise JobFailure(
            detail="The dataset has no row in its training split.",
            code="no-training-rows",
            remedy="Upload a dataset with training rows, or without a split column so that it is split for you.",
        )
    return splits


def indices(labels: Iterable[Target]) -> Iterator[int]:
    """Go through the labels of all rows."""
    for target in labels:
        yield from (target,) if isinstance(target, int) else target


def _target(row: Mapping[str, Any], index_of: Mapping[str, int], problem_type: ProblemType) -> Target | None:
    """Give what a row should be answered with; None when it does not say so in words that are known."""
    if problem_type == "single_label":
        return index_of.get(str(row.get("label")))
    names = row.get("labels", [row.get("label")])
    if not isinstance(names, list) or any(name not in index_of for name in names):
        return None
    return tuple(sorted({index_of[name] for name in names}))


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
