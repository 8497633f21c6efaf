"""The only way a text becomes ids, in training and in serving alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.clean import clean

Ids = NDArray[np.int64]
NO_CHUNK = -1
"""Fills up the list of a text's chunks."""


def head_of(max_length: int) -> int:
    """Count the ids that ``head_tail`` keeps of the beginning of a long text; the others are kept of its end.

    A quarter of the room between one special token before and one behind: 128 of 510 tokens, as in Sun et al., "How to
    Fine-Tune BERT for Text Classification?", 2019.
    """
    return 1 + math.ceil((max_length - 2) / 4)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as ids, in the order of the texts."""

    ids: list[Ids]
    """One array a text, special tokens included, never longer than the model's ``max_length``; of a model that reads
    chunks, all chunks of the text one after the other, each with special tokens of its own."""
    tokens: list[int]
    """Tokens each text has as one, special tokens included, before anything is cut off."""
    truncated: list[bool]
    """Whether the model sees less than all of it."""


class TextEncoder:
    """Clean and tokenize texts as one model wants them.

    Safe to share between threads: nothing changes after construction. The tokenizer lets go of the interpreter lock
    and spreads a long list over its own threads (``TOKENIZERS_PARALLELISM=false`` keeps it on the caller's); one text
    always stays on the caller's thread.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TokenizerSettings, options: TextOptions) -> None:
        self.settings = settings
        self.options = options
        self._tokenizer = tokenizer
        self._special = tokenizer.num_special_tokens_to_add(is_pair=False)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if settings.long_text != "head_tail":
            tokenizer.enable_truncation(settings.max_length, stride=settings.overlap)

    @classmethod
    def from_files(
        cls, tokenizer_json: Path | bytes, settings: TokenizerSettings, options: TextOptions
    ) -> "TextEncoder":
        """Make the encoder from the content of a ``tokenizer.json``; what it says of padding and length is ignored."""
        content = tokenizer_json.read_bytes() if isinstance(tokenizer_json, Path) else tokenizer_json
        return cls(Tokenizer.from_buffer(content), settings, options)

    @property
    def reads_chunks(self) -> bool:
        """Whether the model sees a text in chunks."""
        return self.settings.max_chunks is not None

    @property
    def refuses_long(self) -> bool:
        """Whether a text that would be truncated is not to be answered at all."""
        return self.settings.long_text == "error"

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Turn texts into ids; what is too long is cut as the settings say, and told under ``truncated``."""
        encodings = self._encode(texts)
        return Encoded(
            ids=[self._ids(encoding) for encoding in encodings],
            tokens=[self._length(encoding) for encoding in encodings],
            truncated=[self._is_cut(encoding) for encoding in encodings],
        )

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before truncation, special tokens included."""
        return [self._length(encoding) for encoding in self._encode(texts)]

    def pieces(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the rows that texts of so many ids have in ``input_ids``: one each, or their chunks."""
        if not self.reads_chunks:
            return np.ones_like(lengths)
        return np.maximum(1, -(-lengths // self.settings.max_length))

    def feed(self, ids: Sequence[Ids]) -> dict[str, Ids]:
        """Make the inputs of the model, by name, of texts as ids.

        ``input_ids`` and ``attention_mask``, each (batch, seq). Of a model that reads chunks (chunks, seq), and
        ``chunk_index``, (batch, most): for each text the rows that are its chunks in their order, filled up with -1.
        """
        if not self.reads_chunks:
            input_ids, attention_mask = self.pad(ids)
            return {"input_ids": input_ids, "attention_mask": attention_mask}
        longest = self.settings.max_length  # every chunk but the last of a text has so many
        chunks = [row[start : start + longest] for row in ids for start in range(0, max(1, len(row)), longest)]
        return self._feed_of(chunks, self.pieces(np.array([len(row) for row in ids], dtype=np.int64)))

    def smallest_feed(self) -> dict[str, Ids]:
        """Make the inputs of two short texts of different lengths, the second in two chunks if there are chunks."""
        longest = self.settings.max_length
        texts = [np.full(min(size, longest), self.settings.pad_token_id, dtype=np.int64) for size in (2, 3)]
        if not self.reads_chunks:
            return self.feed(texts)
        return self._feed_of([*texts, texts[0]], np.array([1, 2], dtype=np.int64))

    def pad(self, ids: Sequence[Ids]) -> tuple[Ids, Ids]:
        """Pad on the right to the longest: ``input_ids`` and ``attention_mask``, each (batch, seq)."""
        lengths = [len(row) for row in ids]
        shape = (len(ids), max(lengths, default=0))
        input_ids, attention_mask = np.empty(shape, np.int64), np.zeros(shape, np.int64)
        input_ids.fill(self.settings.pad_token_id)
        for index, (row, length) in enumerate(zip(ids, lengths, strict=True)):
            input_ids[index, :length] = row
            attention_mask[index, :length] = 1
        return input_ids, attention_mask

    def _feed_of(self, chunks: Sequence[Ids], counts: Ids) -> dict[str, Ids]:
        input_ids, attention_mask = self.pad(chunks)
        index = np.full((len(counts), int(counts.max(initial=0))), NO_CHUNK, dtype=np.int64)  # (batch, most)
        ends = np.cumsum(counts)
        for row, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
            index[row, : end - start] = np.arange(start, end)
        return {"input_ids": input_ids, "attention_mask": attention_mask, "chunk_index": index}

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch_fast([clean(text, self.options) for text in texts])

    def _ids(self, encoding: Encoding) -> Ids:
        ids = np.array(encoding.ids, dtype=np.int64)
        if self.settings.max_chunks is not None and len(ids) == self.settings.max_length:
            rest = encoding.overflowing[: self.settings.max_chunks - 1]
            return np.concatenate([ids, *(np.array(chunk.ids, dtype=np.int64) for chunk in rest)])
        if len(ids) > self.settings.max_length:  # head_tail: the special tokens stand at both ends and stay there
            head = head_of(self.settings.max_length)
            return np.concatenate([ids[:head], ids[head - self.settings.max_length :]])
        return ids

    def _is_cut(self, encoding: Encoding) -> bool:
        if len(encoding) != self.settings.max_length:
            return len(encoding) > self.settings.max_length
        return len(encoding.overflowing) > (self.settings.max_chunks or 1) - 1

    def _length(self, encoding: Encoding) -> int:
        # What was cut off comes as further encodings, each with special tokens of its own and the overlap once more.
        length = len(encoding)
        if length == self.settings.max_length:
            length += sum(len(rest) - self._special - self.settings.overlap for rest in encoding.overflowing)
        return length
