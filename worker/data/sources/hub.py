"""Source ``hub``: a dataset of the Hugging Face hub by its id, read through the ``datasets`` library."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import FieldError, JobFailure, nearest
from app.schemas.datasets import SplitName
from app.schemas.sources import HubSource
from worker.data.hub.repository import Hub
from worker.data.hub.table import HubTable, open_table
from worker.data.sources.examples import SPLIT_WORDS, Drawn, Example
from worker.data.sources.labels import LabelNamer


def draw(wanted: HubSource, hub: Hub, scratch: Path) -> Drawn:
    """Download a dataset and give its rows; ``scratch`` must outlive them.

    Raises JobFailure ``hub-unreachable``, ``unknown-dataset``, ``missing-column`` and those of ``open_table``.
    """
    table = open_table(wanted, hub, scratch)
    splits = _our_splits(table, wanted)
    for split in splits.values():
        _check_columns(wanted, split)
    names = _class_names(wanted, next(iter(splits.values())))
    namer = LabelNamer(wanted.label_names, names, wanted.label_delimiter)
    return Drawn(
        examples=_examples(splits, wanted, namer),
        labels=namer.order(_seen(splits, wanted, namer)),
        provenance=table.provenance,
        policy=wanted.split,
        has_difficulties=wanted.difficulty_column is not None,
        slice_columns=wanted.slice_columns,
    )


def _our_splits(table: HubTable, wanted: HubSource) -> dict[SplitName, datasets.Dataset]:
    if wanted.splits is not None:
        return {ours: table.splits[theirs] for ours, theirs in wanted.splits.items()}
    known = {SPLIT_WORDS[name]: split for name, split in table.splits.items() if name in SPLIT_WORDS}
    if "train" not in known:
        raise JobFailure(
            detail=f"{wanted.dataset} has no split called train; it has {', '.join(table.splits)}.",
            code="no-training-split",
            remedy='Say in splits which of them to train on: {"train": "..."}.',
            kind="user",
        )
    return known


def _check_columns(wanted: HubSource, split: datasets.Dataset) -> None:
    fields = ("text_column", "label_column", "difficulty_column")
    named = [(field, getattr(wanted, field)) for field in fields]
    for field, column in [*named, *(("slice_columns", column) for column in wanted.slice_columns)]:
        if column is None or column in split.column_names:
            continue
        meant = nearest(column, split.column_names)
        raise JobFailure(
            detail=f"{wanted.dataset} has no column {column!r}; it has {', '.join(split.column_names[:30])}.",
            code="missing-column",
            remedy=f"Did you mean {meant!r}?" if meant else f"Name one of them as {field}.",
            kind="user",
            errors=(FieldError(f"/{field}", "missing-column", "no such column", allowed=split.column_names[:30]),),
        )


def _class_names(wanted: HubSource, split: datasets.Dataset) -> list[str] | None:
    feature = split.features[wanted.label_column]
    while _is_list(feature):
        feature = feature.feature
    return _names_of(feature)


def _names_of(feature: object) -> list[str] | None:
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _is_list(feature: object) -> bool:
    return isinstance(feature, datasets.List | datasets.LargeList)


def _seen(splits: Mapping[SplitName, datasets.Dataset], wanted: HubSource, namer: LabelNamer) -> set[str]:
    values = {value for split in splits.values() for value in _values(split, wanted.label_column, namer)}
    return {name for value in values if (name := namer.name(value)) is not None}


def _values(split: datasets.Dataset, column: str, namer: LabelNamer) -> Iterator[Any]:
    """Give the values of a column, those that stand in lists and in delimited text too."""
    if not _is_list(split.features[column]):
        for value in split.unique(column):
            parts = namer.parts(value)
            yield from [value] if parts is None else parts
        return
    flat = pc.list_flatten(split.data.column(column))
    if not pa.types.is_nested(flat.type):  # what is nested deeper is refused when the rows are read
        yield from pc.unique(flat).to_pylist()


def _examples(splits: Mapping[SplitName, datasets.Dataset], wanted: HubSource, namer: LabelNamer) -> Iterator[Example]:
    columns = [wanted.text_column, wanted.label_column, *filter(None, [wanted.difficulty_column])]
    columns += [column for column in wanted.slice_columns if column not in columns]
    for number, (name, split) in enumerate(splits.items()):
        words = {column: names for column in wanted.slice_columns if (names := _names_of(split.features[column]))}
        for row in _subset(split.select_columns(columns), wanted, number):
            difficulty = row[wanted.difficulty_column] if wanted.difficulty_column else None
            slices = {column: _word(row[column], words.get(column)) for column in wanted.slice_columns}
            yield Example(row[wanted.text_column], namer.label(row[wanted.label_column]), name, difficulty, slices)


def _word(value: Any, names: list[str] | None) -> Any:
    """Give a value as a person knows it: of a class its name."""
    return names[value] if names is not None and isinstance(value, int) and 0 <= value < len(names) else value


def _subset(split: datasets.Dataset, wanted: HubSource, number: int) -> datasets.Dataset:
    if wanted.rows_per_split is None or len(split) <= wanted.rows_per_split:
        return split
    random = np.random.default_rng([wanted.split.seed, number])
    return split.select(np.sort(random.choice(len(split), wanted.rows_per_split, replace=False)))
