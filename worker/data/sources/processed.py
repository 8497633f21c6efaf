"""Source ``processed``: JSON Lines that are split already, from the folder that the operator set aside for them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from app.artifacts.bundle import sha256_of
from app.errors import JobFailure, nearest
from app.schemas.datasets import SplitName
from app.schemas.provenance import Provenance, SourceFile
from app.schemas.sources import ProcessedSource
from worker.data.sources.examples import SPLIT_WORDS, Drawn, Example
from worker.data.sources.labels import LabelNamer

EXPECTED = ("train.jsonl", "validation.jsonl", "test.jsonl")
_LABELS = "labels.json"


def draw(wanted: ProcessedSource, root: Path | None) -> Drawn:
    """Give the rows of a folder or file below ``root``.

    Raises JobFailure ``processed-disabled``, ``data-not-found``, ``malformed-row``, ``missing-column``.
    """
    place = _inside(wanted, root)
    files = _files(wanted, place)
    namer = LabelNamer(wanted.label_names, None, wanted.label_delimiter)
    declared = _declared(place) if wanted.label_names is None else None
    return Drawn(
        examples=_examples(files, wanted, namer),
        labels=declared or namer.order(_seen(_examples(files, wanted, namer))),
        provenance=Provenance(
            source=wanted.source,
            options=wanted.model_dump(mode="json"),
            dataset=wanted.path,
            files=[SourceFile(path=file.name, bytes=file.stat().st_size, sha256=sha256_of(file)) for file, _ in files],
        ),
        policy=wanted.split,
        has_difficulties=wanted.difficulty_column is not None,
        slice_columns=wanted.slice_columns,
    )


def _inside(wanted: ProcessedSource, root: Path | None) -> Path:
    """Find the wanted place, and refuse one that links lead out of ``root``."""
    if root is None:
        raise JobFailure(
            detail="This worker has no folder of prepared datasets.",
            code="processed-disabled",
            remedy="Set TUNESMITH_PROCESSED_DIR on the worker, or upload the dataset as a file.",
            kind="user",
        )
    place = (root / wanted.path).resolve()
    if not place.is_relative_to(root.resolve()) or not place.exists():
        raise _not_found(wanted, "there is nothing of this name")
    return place


def _files(wanted: ProcessedSource, place: Path) -> list[tuple[Path, SplitName | None]]:
    """List the files with the split that their name says; None: their rows say it."""
    if place.is_file():
        return [(place, None)]
    named = {
        SPLIT_WORDS[file.stem]: file
        for file in sorted(place.glob("*.jsonl"))
        if file.stem in SPLIT_WORDS and file.is_file() and file.resolve().is_relative_to(place)
    }
    if "train" not in named:
        raise _not_found(wanted, "the folder has no train.jsonl")
    return [(file, split) for split, file in named.items()]


def _declared(place: Path) -> list[str] | None:
    """Read the label order from a ``labels.json`` beside the files: a list of names."""
    file = (place if place.is_dir() else place.parent) / _LABELS
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return list(content)
    return None


def _seen(examples: Iterable[Example]) -> set[str]:
    labels = (example.label for example in examples if example.label is not None)
    return {name for label in labels for name in ((label,) if isinstance(label, str) else label)}


def _examples(
    files: Sequence[tuple[Path, SplitName | None]], wanted: ProcessedSource, namer: LabelNamer
) -> Iterator[Example]:
    for file, split in files:
        for number, row in _rows(file):
            for column in (wanted.text_column, wanted.label_column):
                if column not in row:
                    raise _missing(file, number, column, row)
            difficulty = row.get(wanted.difficulty_column) if wanted.difficulty_column else None
            label = namer.label(row[wanted.label_column])
            yield Example(row[wanted.text_column], label, split or _said(file, number, row), difficulty, row)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise _malformed(file, number, "is not a JSON object")
            yield number, row


def _said(file: Path, number: int, row: dict[str, Any]) -> SplitName | None:
    said = row.get("split")
    if said is None:
        return None
    if not isinstance(said, str) or said.lower() not in SPLIT_WORDS:
        raise _malformed(file, number, "names a split that is none of train, validation and test")
    return SPLIT_WORDS[said.lower()]


def _not_found(wanted: ProcessedSource, why: str) -> JobFailure:
    return JobFailure(
        detail=f"No prepared data at {wanted.path}: {why}.",
        code="data-not-found",
        remedy=f"Prepare the data first. Expected in the folder: {', '.join(EXPECTED)} (only the first is needed), "
        'or one file of JSON Lines with a "split" in each row.',
        kind="user",
    )


def _missing(file: Path, number: int, column: str, row: dict[str, Any]) -> JobFailure:
    meant = nearest(column, row)
    return JobFailure(
        detail=f"Line {number} of {file.name} has no {column!r}.",
        code="missing-column",
        remedy=f"Did you mean {meant!r}?" if meant else "Name the columns in text_column and label_column.",
        kind="user",
    )


def _malformed(file: Path, number: int, what: str) -> JobFailure:
    return JobFailure(
        detail=f"Line {number} of {file.name} {what}.",
        code="malformed-row",
        remedy='Write one JSON object a line: {"text": "...", "label": "..."}.',
    )
