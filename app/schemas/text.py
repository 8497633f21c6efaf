"""What is done to a text before it is tokenized, in training and in serving alike."""

from typing import Literal

from app.schemas.base import Resource, StrictModel

LongText = Literal["truncate", "head_tail", "hierarchical", "error"]


class TextOptions(StrictModel):
    """Cleaning is part of the model: it travels in the bundle and the server applies the same steps."""

    unicode_normalization: Literal["none", "NFC", "NFKC"] = "NFC"
    """Unicode normal form; NFC changes nothing a reader can see."""
    html: Literal["keep", "remove"] = "keep"
    """remove: tags and comments give way to a space, and ``&amp;``, ``&#39;`` and their like to their characters."""
    urls: Literal["keep", "replace", "remove"] = "keep"
    """replace: each URL becomes ``http``, as in tweet corpora; remove: each is taken out."""
    strip_mentions: bool = False
    """Replace each @mention by ``@user``."""
    collapse_whitespace: bool = True
    """Turn every run of white space into one space and trim both ends."""
    lowercase: bool = False
    """Lower-case the text. Uncased tokenizers do that themselves."""


class TokenizerSettings(Resource):
    """How text becomes ids; training and serving read the same numbers."""

    max_length: int
    """Tokens the model sees at a time, special tokens included: those of a text, or of each of its chunks."""
    pad_token_id: int
    """The id that fills short texts up to the length of the longest in a batch."""
    long_text: LongText = "truncate"
    """What becomes of a text that is longer than the model can see."""
    max_chunks: int | None = None
    """Chunks of a text that the model sees at most; null: it sees a text as a whole."""
    overlap: int = 0
    """Tokens that a chunk repeats of the one before it."""
