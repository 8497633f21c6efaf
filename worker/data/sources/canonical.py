"""Writes drawn rows as canonical rows: one JSON object a line, every row with its split, the file pinned by hash."""

import hashlib
import json
import math
import os
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import JobFailure
from app.preflight.messages import Limits
from app.preflight.rows import NO_SPLIT, SPLITS, Examples
from app.preflight.split import assign
from app.schemas.datasets import SplitName
from app.schemas.sources import ImportRecord
from worker.data.sources.examples import Drawn, Example


class _Collector:
    """Numbers of the rows in memory, the rows themselves on disk."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits = limits
        self.seed = seed.to_bytes(8, "big")
        self.labels: dict[str, int] = {}
        self.label_of, self.split, self.digest = array("i"), array("b"), array("Q")
        self.skipped: Counter[str] = Counter()

    def add(self, example: Example) -> str | None:
        """Take a row in and give the beginning of its line; None when it is left out."""
        text, reason = example.text, self._reason(example)
        if reason is not None or not isinstance(text, str) or example.label is None:
            self.skipped[reason or "no-text"] += 1
            return None
        if len(self.label_of) >= self.limits.max_rows:
            raise _too_many(f"more than {self.limits.max_rows} rows", "TUNESMITH_MAX_DATASET_ROWS")
        self.label_of.append(self.labels.setdefault(example.label, len(self.labels)))
        if len(self.labels) > self.limits.max_labels:
            raise _too_many(f"more than {self.limits.max_labels} labels", "TUNESMITH_MAX_LABELS")
        self.split.append(NO_SPLIT if example.split is None else SPLITS.index(example.split))
        digest = hashlib.blake2b(text.encode(), digest_size=8, key=self.seed).digest()
        self.digest.append(int.from_bytes(digest, "big"))
        return (
            f'{{"text":{json.dumps(text, ensure_ascii=False)},"label":{json.dumps(example.label, ensure_ascii=False)}'
        )

    def _reason(self, example: Example) -> str | None:
        if not isinstance(example.text, str) or not example.text.strip():
            return "no-text"
        if len(example.text) > self.limits.max_text_chars:
            return "text-too-long"
        if not _is_encodable(example.text):
            return "invalid-text"
        return "no-label" if example.label is None else None

    def splits(self, drawn: Drawn) -> NDArray[np.int8]:
        """Give each row its split, by the one rule that uploads follow too."""
        label_of = np.asarray(self.label_of, dtype=np.int32)
        examples = Examples(
            texts=Path(),
            keys=list(self.labels),
            key_of=label_of,
            split=np.asarray(self.split, dtype=np.int8),
            chars=np.zeros(len(label_of), dtype=np.int64),
            digest=np.asarray(self.digest, dtype=np.uint64),
        )
        return assign(examples, label_of, drawn.policy)


def write_rows(drawn: Drawn, file: Path, limits: Limits) -> ImportRecord:
    """Write ``file`` whole or not at all, and describe it.

    Raises JobFailure ``no-rows``, ``one-label``, ``no-training-rows``, ``dataset-too-large``.
    """
    collector = _Collector(limits, drawn.policy.seed)
    begun, done = file.with_name(f".{file.name}.begun"), file.with_name(f".{file.name}.part")
    try:
        with begun.open("w", encoding="utf-8", newline="\n") as out:
            for example in drawn.examples:
                if (line := collector.add(example)) is not None:
                    out.write(f"{line}\t{_difficulty(example)}\n")
        _check(collector)
        splits = collector.splits(drawn)
        digest, size = _finish(begun, done, splits)
        done.replace(file)
    finally:
        begun.unlink(missing_ok=True)
        done.unlink(missing_ok=True)
    return ImportRecord(
        **drawn.provenance.model_dump(),
        rows_sha256=digest,
        bytes=size,
        labels=[*drawn.labels, *(name for name in collector.labels if name not in set(drawn.labels))],
        counts=_counts(collector, splits),
        skipped=dict(collector.skipped),
    )


def _finish(begun: Path, done: Path, splits: NDArray[np.int8]) -> tuple[str, int]:
    """Complete each line with its split."""
    digest, size = hashlib.sha256(), 0
    with begun.open(encoding="utf-8", newline="\n") as lines, done.open("wb") as out:
        for begin, split in zip(lines, splits.tolist(), strict=True):
            start, _, difficulty = begin[:-1].rpartition("\t")
            line = f'{start},"split":"{SPLITS[split]}"{difficulty}}}\n'.encode()
            digest.update(line)
            size += out.write(line)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest(), size


def _difficulty(example: Example) -> str:
    value = example.difficulty
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return f',"difficulty":{json.dumps(value)}'


def _is_encodable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _counts(collector: _Collector, splits: NDArray[np.int8]) -> dict[SplitName, dict[str, int]]:
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    labels, label_of = list(collector.labels), np.asarray(collector.label_of)
    return {
        name: {
            label: int(count)
            for label, count in zip(labels, np.bincount(label_of[splits == number], minlength=len(labels)), strict=True)
        }
        for number, name in enumerate(names)
        if (splits == number).any()
    }


def _check(collector: _Collector) -> None:
    if not collector.label_of:
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
