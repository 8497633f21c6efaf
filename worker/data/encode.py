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
from worker.data.token_cache import TokenCache, Tokens

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


def encode(
    rows: Rows,
    encoder: TextEncoder,
    *,
    vocabulary: int,
    check: Callable[[], None],
    cache: TokenCache | None = None,
    labels: int = 0,
) -> Encoded:
    """Tokenize a split, or read from ``cache`` what it became; ``check`` is called now and then and may raise to stop.

    ``labels`` is how many there are, where rows may have several.

    Raises JobFailure ``tokenizer-mismatch`` when the tokenizer knows ids for which the model has no embedding.
    """
    return labelled(tokenize(rows.texts, encoder, check=check, cache=cache), rows, vocabulary=vocabulary, labels=labels)


def labelled(made: Tokens, rows: Rows, *, vocabulary: int, labels: int = 0) -> Encoded:
    """Put the labels of ``rows`` to their ids. Raises JobFailure ``tokenizer-mismatch``."""
    if made.tokens.max(initial=0) >= vocabulary:
        raise _mismatch(int(made.tokens.max()), vocabulary)
    return Encoded(
        made.tokens,
        made.starts,
        _targets(rows, labels),
        truncated=int(made.cut.sum()),
        longest=int(made.lengths.max(initial=0)),
    )


def tokenize(
    texts: Sequence[str], encoder: TextEncoder, *, check: Callable[[], None], cache: TokenCache | None = None
) -> Tokens:
    """Turn texts into ids, or read from ``cache`` what they became; ``check`` may raise to stop."""
    file = None if cache is None else cache.file_of(texts, encoder.settings)
    known = None if cache is None else cache.load(file, len(texts))
    if known is not None:
        return known
    parts: list[NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
    sizes, lengths, cut = [0], list[int](), list[bool]()
    for chunk in _chunks(texts):
        check()
        encoded = encoder.encode(chunk)
        parts.append(np.concatenate(encoded.ids).astype(np.int32))
        sizes.extend(len(ids) for ids in encoded.ids)
        lengths.extend(encoded.tokens)
        cut.extend(encoded.truncated)
    made = Tokens(
        np.concatenate(parts),
        np.cumsum(sizes, dtype=np.int64),
        np.array(lengths, dtype=np.int64),
        np.array(cut, dtype=np.bool_),
    )
    if cache is not None:
        cache.keep(file, made)
    return made


def recut(
    made: Tokens,
    texts: Sequence[str],
    encoder: TextEncoder,
    *,
    check: Callable[[], None],
    cache: TokenCache | None = None,
) -> Tokens:
    """Give what texts become with another ``max_length`` or ``long_text``: only those beyond it are tokenized again."""
    long = np.flatnonzero(made.lengths > encoder.settings.max_length).tolist()
    if not long:
        return made
    again = tokenize([texts[row] for row in long], encoder, check=check, cache=cache)
    sizes, cut = np.diff(made.starts), made.cut.copy()
    pieces = np.split(made.tokens, made.starts[1:-1])
    for place, row in enumerate(long):
        pieces[row] = again.tokens[again.starts[place] : again.starts[place + 1]]
    sizes[long], cut[long] = np.diff(again.starts), again.cut
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    return Tokens(np.concatenate(pieces), starts, made.lengths, cut)


def _targets(rows: Rows, labels: int) -> NDArray[Any]:
    if not labels:
        return np.array(rows.labels, dtype=np.int64)
    marks = np.zeros((len(rows.labels), labels), dtype=np.uint8)  # (texts, labels)
    for row, target in enumerate(rows.labels):
        marks[row, list(indices([target]))] = 1
    return marks


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start, end in pairwise([*range(0, len(texts), CHUNK), len(texts)]):
        yield texts[start:end]


def _mismatch(largest: int, vocabulary: int) -> JobFailure:
    return JobFailure(
        detail=f"The tokenizer gives id {largest}, but the base model has embeddings for {vocabulary} ids only.",
        code="tokenizer-mismatch",
        remedy="Use a base model whose tokenizer.json belongs to its weights.",
    )
