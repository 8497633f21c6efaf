"""The answers of a model to the rows it was judged on: compact, without texts, so that two models can be compared."""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import JobFailure
from app.schemas.datasets import SplitName

FILE = "answers.npz"
MOST_PROBABILITIES = 20_000_000
"""Probabilities that are kept; of more, only that of each answer."""

Marks = NDArray[np.bool_]
Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one model said to each row of a split, in the order of the rows."""

    split: SplitName
    labels: list[str]
    several: bool
    """Whether a row has any number of labels rather than one."""
    keys: Keys
    """(rows,): which row it is, by its text and true labels."""
    truth: NDArray[np.int64] | Marks
    """(rows,) indices of labels; of several (rows, labels)."""
    given: NDArray[np.int64] | Marks
    """The model's, in the same form."""
    probabilities: NDArray[np.float16]
    """(rows, labels); of very many, (rows, 1) for the label that was given."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def right(self) -> Marks:
        """Tell which rows are right; of several, with all their labels: (rows,)."""
        same: Marks = np.equal(self.truth, self.given)
        return np.asarray(same.all(axis=1)) if self.several else same

    def named(self, row: int) -> tuple[str, str]:
        """Give the true and the given label of a row in words."""
        return self._name(self.truth[row]), self._name(self.given[row])

    def _name(self, value: NDArray[np.generic]) -> str:
        if not self.several:
            return self.labels[int(value)]
        return ", ".join(self.labels[place] for place in np.flatnonzero(value)) or "none"


def row_keys(texts: Iterable[str], labels: Iterable[Sequence[str]]) -> Keys:
    """Hash each text with the names of its true labels: (rows,); the second row of the same kind gets another key.

    So rows are known again in another dataset, in another order, and by a model with other labels.
    """
    plain = np.fromiter(_hashes(texts, labels), np.uint64)
    return _told_apart(plain)


def _hashes(texts: Iterable[str], labels: Iterable[Sequence[str]]) -> Iterator[int]:
    for text, names in zip(texts, labels, strict=True):
        parts = [text, *sorted(names)]
        content = b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts)
        yield int.from_bytes(hashlib.sha256(content).digest()[:8])


def _told_apart(keys: Keys) -> Keys:
    """Mix the number of each repetition into its key."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if len(keys) else np.zeros(0, np.int64)
    repetition = np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
    told = keys.copy()
    told[order] ^= repetition.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return told


def save(answers: Answers, file: Path) -> None:
    """Write the answers; truth and answers of several labels as bits."""
    pack = (lambda marks: np.packbits(marks, axis=1)) if answers.several else (lambda index: index.astype(np.int32))
    np.savez_compressed(
        file,
        split=np.array(answers.split),
        labels=np.array(answers.labels),
        several=np.array(answers.several),
        keys=answers.keys,
        truth=pack(answers.truth),
        given=pack(answers.given),
        probabilities=answers.probabilities,
    )


def load(content: bytes) -> Answers:
    """Read what ``save`` has written. Raises JobFailure ``damaged-bundle``; nothing in the file can run."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            labels = [str(label) for label in arrays["labels"]]
            several = bool(arrays["several"])

            def unpacked(name: str) -> NDArray[np.int64] | Marks:
                if several:
                    return np.unpackbits(arrays[name], axis=1, count=len(labels)).astype(np.bool_)
                whole: NDArray[np.int64] = arrays[name].astype(np.int64)
                return whole

            split: SplitName = "test" if str(arrays["split"]) == "test" else "validation"
            return Answers(
                split=split,
                labels=labels,
                several=several,
                keys=arrays["keys"],
                truth=unpacked("truth"),
                given=unpacked("given"),
                probabilities=arrays["probabilities"],
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise JobFailure(
            detail=f"The file {FILE} of a bundle cannot be read.",
            code="damaged-bundle",
            remedy="Restore the artifact store from a backup, or train the version again.",
            kind="internal",
        ) from error
