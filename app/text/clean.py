"""What happens to a text before it is tokenized: the steps of a model's TextOptions, each applied once and for all."""

import html
import re
import unicodedata
from itertools import dropwhile
from typing import Literal

from app.schemas.text import TextOptions

MAX_MARKS = 30
"""Combining marks in a row; the limit of Unicode's stream-safe text format (UAX #15)."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_MARKS = re.compile(rb"[^\0]{%d,}" % (MAX_MARKS + 1))
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w@])@\w[^\s@]*")
_TAG = re.compile(r"<!--.*?-->|</?[a-z][^<>]*>|<![a-z][^<>]*>", re.IGNORECASE | re.DOTALL)
_GRAPHEME_JOINER = "\u034f"
_MOST_ROUNDS = 8


def clean(text: str, options: TextOptions) -> str:
    """Apply the cleaning steps of a model; cleaning twice changes nothing more."""
    if options.html == "keep":
        return _apply(text, options)
    for _ in range(_MOST_ROUNDS):
        cleaned = _apply(_without_markup(text), options)
        if cleaned == text:
            return cleaned
        text = cleaned
    # References that make references, deeper than anyone escapes: hostile, and without an end if this were not one.
    return _apply(_TAG.sub(" ", text.replace("&", " ")), options)


def _without_markup(text: str) -> str:
    """Take out tags and put characters for references; a space for a tag, so that no two pieces become a word."""
    return _TAG.sub(" ", html.unescape(text))


def _apply(text: str, options: TextOptions) -> str:
    if not text.isascii():
        # A lone surrogate is no character: it cannot be written as UTF-8, so no tokenizer takes it.
        text = _SURROGATE.sub("\ufffd", text)
        text = _normalize(text, options.unicode_normalization)
    if options.lowercase:
        # Lower-casing may leave a letter beside an accent that has a single code point of its own.
        text = _normalize(text.lower(), options.unicode_normalization)
    if options.urls != "keep":
        text = _URL.sub("http" if options.urls == "replace" else "", text)
    if options.strip_mentions:
        text = _MENTION.sub(_anonymous, text)
    if options.collapse_whitespace:
        text = " ".join(text.split())
    return text


def _normalize(text: str, form: Literal["none", "NFC", "NFKC"]) -> str:
    if form == "none" or text.isascii():
        return text
    return _bound_marks(unicodedata.normalize(form, _bound_marks(text)))


def _bound_marks(text: str) -> str:
    """Break long runs of combining marks with a joiner nobody sees.

    Normalization sorts each run in quadratic time: 200,000 hostile marks would hold the interpreter for 40 seconds.
    """
    classes = bytes(map(unicodedata.combining, text))
    if _LONG_MARKS.search(classes) is None:
        return text
    pieces, end = [], 0
    for run in _LONG_MARKS.finditer(classes):
        pieces.append(text[end : run.start()])
        starts = range(run.start(), run.end(), MAX_MARKS)
        pieces.append(_GRAPHEME_JOINER.join(text[start : min(start + MAX_MARKS, run.end())] for start in starts))
        end = run.end()
    return "".join(pieces) + text[end:]


def _anonymous(mention: re.Match[str]) -> str:
    """Replace the handle and keep what follows it; letters of many scripts carry marks that are no word characters."""
    return "@user" + "".join(dropwhile(_belongs_to_handle, mention[0][1:]))


def _belongs_to_handle(character: str) -> bool:
    return character == "_" or character.isalnum() or unicodedata.category(character).startswith("M")
