"""Writes drawn rows as canonical rows: one JSON object a line, every row with its split, the file pinned by hash."""

import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, JobFailure
from app.preflight.breaches import BrokenRule
from app.preflight.difficulties import number_of
from app.preflight.label_sets import LabelSets
from app.preflight.messages import Limits
from app.preflight.rows import NO_SPLIT, SPLITS, Examples
from app.preflight.slices import Slices
from app.preflight.split import assign
from app.schemas.datasets import SplitName
from app.schemas.sources import ImportRecord
from worker.data.sources.examples import Drawn, Example


class _Collector:
    """Numbers of the rows in memory, the rows themselves on disk."""

    def __init__(self, limits: Limits, drawn: Drawn) -> None:
        self.limits = limits
        self.has_difficulties = drawn.has_difficulties
        self.slices = Slices(drawn.slice_columns, "row")
        self.seed = drawn.policy.seed.to_bytes(8, "big")
        self.labels: dict[str, int] = {}
        self.label_of, self.sizes = array("i"), array("i")
        self.split, self.digest = array("b"), array("Q")
        self.several = False
        """Whether any row has a set of labels; then all of them are written so."""
        self.skipped: Counter[str] = Counter()

    def add(self, example: Example) -> str | None:
        """Take a row in and give the parts of its line, divided by tabs; None when it is left out."""
        text, reason = example.text, self._reason(example)
        if reason is not None or not isinstance(text, str) or example.label is None:
            self.skipped[reason or "no-text"] += 1
            return None
        if len(self.sizes) >= self.limits.max_rows:
            raise _too_many(f"more than {self.limits.max_rows} rows", "TUNESMITH_MAX_DATASET_ROWS")
        labels = (example.label,) if isinstance(example.label, str) else example.label
        self.label_of.extend(self.labels.setdefault(label, len(self.labels)) for label in labels)
        self.sizes.append(len(labels))
        self.several = self.several or labels is example.label
        if len(self.labels) > self.limits.max_labels:
            raise _too_many(f"more than {self.limits.max_labels} labels", "TUNESMITH_MAX_LABELS")
        self.split.append(NO_SPLIT if example.split is None else SPLITS.index(example.split))
        digest = hashlib.blake2b(text.encode(), digest_size=8, key=self.seed).digest()
        self.digest.append(int.from_bytes(digest, "big"))
        self.slices.take(len(self.sizes) + self.skipped.total(), example.slices)
        names = ",".join(json.dumps(label, ensure_ascii=False) for label in labels)
        return f"{json.dumps(text, ensure_ascii=False)}\t{names}\t{self._difficulty(example)}"

    def _reason(self, example: Example) -> str | None:
        if not isinstance(example.text, str) or not example.text.strip():
            return "no-text"
        if len(example.text) > self.limits.max_text_chars:
            return "text-too-long"
        if not _is_encodable(example.text):
            return "invalid-text"
        if example.label is None:
            return "no-label"
        return "no-difficulty" if self.has_difficulties and not self._difficulty(example) else None

    def _difficulty(self, example: Example) -> str:
        try:
            return repr(number_of(example.difficulty)) if self.has_difficulties else ""
        except BrokenRule:
            return ""

    def examples(self) -> Examples:
        """Give the rows as uploads have them, without their texts."""
        return Examples(
            texts=Path(),
            keys=list(self.labels),
            key_of=np.asarray(self.label_of, dtype=np.int32),
            split=np.asarray(self.split, dtype=np.int8),
            chars=np.zeros(len(self.split), dtype=np.int64),
            digest=np.asarray(self.digest, dtype=np.uint64),
            labels_per_row=np.asarray(self.sizes, dtype=np.int32) if self.several else None,
        )


def write_rows(drawn: Drawn, file: Path, limits: Limits) -> ImportRecord:
    """Write ``file`` whole or not at all, and describe it.

    Raises JobFailure ``no-rows``, ``one-label``, ``no-training-rows``, ``dataset-too-large``, ``missing-column``, and
    DatasetRefused for values that group no rows.
    """
    collector = _Collector(limits, drawn)
    begun, done = file.with_name(f".{file.name}.begun"), file.with_name(f".{file.name}.part")
    try:
        with begun.open("w", encoding="utf-8", newline="\n") as out:
            for example in drawn.examples:
                if (line := collector.add(example)) is not None:
                    out.write(f"{line}\n")
        _check(collector)
        collector.slices.refuse_if_any()
        slices = _found(collector.slices)
        examples = collector.examples()
        sets = LabelSets.of(examples, np.arange(len(collector.labels), dtype=np.int32))
        splits = assign(examples, sets.strata(), drawn.policy)  # the one rule that uploads follow too
        digest, size = _finish(
            begun, done, splits, islice(collector.slices.fields(), len(splits)), several=sets.several
        )
        done.replace(file)
    finally:
        begun.unlink(missing_ok=True)
        done.unlink(missing_ok=True)
    return ImportRecord(
        **drawn.provenance.model_dump(),
        rows_sha256=digest,
        bytes=size,
        labels=[*drawn.labels, *(name for name in collector.labels if name not in set(drawn.labels))],
        problem_type="multi_label" if sets.several else "single_label",
        has_difficulties=drawn.has_difficulties,
        slices=slices,
        counts=_counts(list(collector.labels), sets, splits),
        skipped=dict(collector.skipped),
    )


def _finish(
    begun: Path, done: Path, splits: NDArray[np.int8], slices: Iterator[str], *, several: bool
) -> tuple[str, int]:
    """Put each line together."""
    digest, size = hashlib.sha256(), 0
    with begun.open(encoding="utf-8", newline="\n") as lines, done.open("wb") as out:
        for begin, split, fields in zip(lines, splits.tolist(), slices, strict=True):
            text, names, number = begin[:-1].split("\t")  # in JSON a tab is written as an escape
            label = f'"labels":[{names}]' if several else f'"label":{names}'
            difficulty = f',"difficulty":{number}' if number else ""
            line = f'{{"text":{text},{label},"split":"{SPLITS[split]}"{difficulty}{fields}}}\n'.encode()
            digest.update(line)
            size += out.write(line)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest(), size


def _found(slices: Slices) -> dict[str, dict[str, int]]:
    """Count rows by column and value; a column without any value is most likely a wrong name."""
    counts = slices.counts()
    if (empty := next((column for column, values in counts.items() if not values), None)) is not None:
        raise JobFailure(
            detail=f"No row of the source has a value in the column {empty!r}.",
            code="missing-column",
            remedy="Name columns of words, such as source or language, in slice_columns, or leave it out.",
            kind="user",
            errors=(FieldError("/slice_columns", "missing-column", "no such column"),),
        )
    return counts


def _is_encodable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _counts(labels: Sequence[str], sets: LabelSets, splits: NDArray[np.int8]) -> dict[SplitName, dict[str, int]]:
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    return {
        name: dict(zip(labels, sets.counts(len(labels), splits == number).tolist(), strict=True))
        for number, name in enumerate(names)
        if (splits == number).any()
    }


def _check(collector: _Collector) -> None:
    if not collector.split:
        raise JobFailure(
            detail=f"No row of the source can be used; {sum(collector.skipped.values())} were left out.",
            code="no-rows",
            remedy="Check text_column, label_column and label_names.",
        )
    if len(collector.labels) < 2:
        raise JobFailure(
            detail="All rows of the source have the same label; a classifier needs two or more.",
            code="one-label",
            remedy="Check label_column and label_names.",
        )
    if not any(split in (NO_SPLIT, SPLITS.index("train")) for split in collector.split):
        raise JobFailure(
            detail="The source has no training rows.",
            code="no-training-rows",
            remedy="Name the split to train on.",
        )


def _too_many(what: str, setting: str) -> JobFailure:
    return JobFailure(
        detail=f"The source has {what}.",
        code="dataset-too-large",
        remedy=f"Take a part of it with rows_per_split, check the columns, or raise {setting}.",
        kind="user",
    )
