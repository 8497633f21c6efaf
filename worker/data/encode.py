"""A split as ids: all tokens in one flat array, so that a million texts cost a few hundred megabytes at most."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import JobFailure
from app.text.tokenizer import TextEncoder
from worker.data.rows import Rows, indices

CHUNK = 4096
"""Texts that are tokenized at a time: what the tokenizer makes of them takes far more memory than the ids."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One split, ready to be batched."""

    tokens: NDArray[np.int32]  # (all tokens,)
    starts: NDArray[np.int64]  # (texts + 1,)
    labels: NDArray[Any]  # (texts,); of multi_label (texts, labels), 1 for a label that the text has
    truncated: int
    """Texts that the model sees only a part of."""
    longest: int = 0
    """Tokens of the longest text before anything was cut off."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text after truncation."""
        return np.diff(self.starts)

    def ids(self, row: int) -> NDArray[np.int64]:
        """Give the ids of one text."""
        return self.tokens[self.starts[row] : self.starts[row + 1]].astype(np.int64)


def encode(rows: Rows, encoder: TextEncoder, *, vocabulary: int, check: Callable[[], None], labels: int = 0) -> Encoded:
    """Tokenize a split; ``check`` is called now and then and may raise to stop.

    ``labels`` is how many there are, where rows may have several.

    Raises JobFailure ``tokenizer-mismatch`` when the tokenizer knows ids for which the model has no embedding.
    """
    parts: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    truncated = longest = 0
    for texts in _chunks(rows.texts):
        check()
        encoded = encoder.encode(texts)
        parts.append(np.concatenate(encoded.ids).astype(np.int32))
        lengths.extend(len(ids) for ids in encoded.ids)
        truncated += sum(encoded.truncated)
        longest = max(longest, *encoded.tokens)
    tokens = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    if tokens.max(initial=0) >= vocabulary:
        raise _mismatch(int(tokens.max()), vocabulary)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return Encoded(tokens, starts, _targets(rows, labels), truncated, longest)


def _targets(rows: Rows, labels: int) -> NDArray[Any]:
    if not labels:
        return np.array(rows.labels, dtype=np.int64)
    marks = np.zeros((len(rows.labels), labels), dtype=np.uint8)  # (texts, labels)
    for row, target in enumerate(rows.labels):
        marks[row, list(indices([target]))] = 1
    return marks


def token_lengths(texts: Sequence[str], encoder: TextEncoder, *, check: Callable[[], None]) -> NDArray[np.int64]:
    """Count the tokens of each text before truncation."""
    lengths: list[int] = []
    for chunk in _chunks(texts):
        check()
        lengths.extend(encoder.lengths(chunk))
    return np.array(lengths, dtype=np.int64)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start, end in pairwise([*range(0, len(texts), CHUNK), len(texts)]):
        yield texts[start:end]


def _mismatch(largest: int, vocabulary: int) -> JobFailure:
    return JobFailure(
        detail=f"The tokenizer gives id {largest}, but the base model has embeddings for {vocabulary} ids only.",
        code="tokenizer-mismatch",
        remedy="Use a base model whose tokenizer.json belongs to its weights.",
    )
