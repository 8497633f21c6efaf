"""The only way a text becomes ids, in training and in serving alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.clean import clean

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as ids, in the order of the texts."""

    ids: list[Ids]
    """One array a text, special tokens included, never longer than the model's ``max_length``."""
    tokens: list[int]
    """Tokens each text has, special tokens included, before truncation."""
    truncated: list[bool]


class TextEncoder:
    """Clean and tokenize texts as one model wants them.

    Safe to share between threads: nothing changes after construction. The tokenizer lets go of the interpreter lock
    and spreads a long list over its own threads (``TOKENIZERS_PARALLELISM=false`` keeps it on the caller's); one text
    always stays on the caller's thread.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TokenizerSettings, options: TextOptions) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(settings.max_length)
        self.settings = settings
        self.options = options
        self._tokenizer = tokenizer
        self._special = tokenizer.num_special_tokens_to_add(is_pair=False)

    @classmethod
    def from_files(
        cls, tokenizer_json: Path | bytes, settings: TokenizerSettings, options: TextOptions
    ) -> "TextEncoder":
        """Make the encoder from the content of a ``tokenizer.json``; what it says of padding and length is ignored."""
        content = tokenizer_json.read_bytes() if isinstance(tokenizer_json, Path) else tokenizer_json
        return cls(Tokenizer.from_buffer(content), settings, options)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Turn texts into ids, cut to the model's ``max_length``."""
        encodings = self._encode(texts)
        tokens = [self._length(encoding) for encoding in encodings]
        return Encoded(
            ids=[np.array(encoding.ids, dtype=np.int64) for encoding in encodings],
            tokens=tokens,
            truncated=[length > self.settings.max_length for length in tokens],
        )

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before truncation, special tokens included."""
        return [self._length(encoding) for encoding in self._encode(texts)]

    def feed(self, ids: Sequence[Ids]) -> dict[str, Ids]:
        """Make the inputs of the model, by name, of texts as ids."""
        input_ids, attention_mask = self.pad(ids)
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def pad(self, ids: Sequence[Ids]) -> tuple[Ids, Ids]:
        """Pad on the right to the longest: ``input_ids`` and ``attention_mask``, each (batch, seq)."""
        lengths = [len(row) for row in ids]
        input_ids = np.full((len(ids), max(lengths, default=0)), self.settings.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros_like(input_ids)
        for index, (row, length) in enumerate(zip(ids, lengths, strict=True)):
            input_ids[index, :length] = row
            attention_mask[index, :length] = 1
        return input_ids, attention_mask

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch_fast([clean(text, self.options) for text in texts])

    def _length(self, encoding: Encoding) -> int:
        # What was cut off comes as further encodings, each with special tokens of its own.
        length = len(encoding)
        if length == self.settings.max_length:
            length += sum(len(rest) - self._special for rest in encoding.overflowing)
        return length
