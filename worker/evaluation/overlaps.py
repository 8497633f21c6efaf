"""Overlaps: texts that occur in more than one split, so that a score measures memory."""

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from app.schemas.datasets import SplitName
from app.schemas.issues import Overlap
from app.text.excerpts import excerpt

Indices = NDArray[np.integer]
_URL = re.compile(r"(?:https?://|www\.)\S+")
_SPACE = re.compile(r"\s+")


def overlapping_texts(
    splits: Mapping[SplitName, Sequence[str]], labels: Mapping[SplitName, Indices], names: Sequence[str]
) -> list[Overlap]:
    """List the texts that occur in more than one split once case, URLs, punctuation and white space are set aside.

    ``labels`` holds for each split the label index of each text. Texts with contradicting labels come first.
    """
    keys = {split: [_key(text) for text in texts] for split, texts in splits.items()}
    seen: dict[bytes, set[SplitName]] = defaultdict(set)
    for split, each in keys.items():
        for key in each:
            seen[key].add(split)
    shared = {key for key, where in seen.items() if len(where) > 1 and key}
    groups: dict[bytes, list[tuple[SplitName, int]]] = {key: [] for key in shared}
    for split, each in keys.items():
        for row, key in enumerate(each):
            if key in shared:
                groups[key].append((split, row))
    overlaps = [_overlap(rows, splits, labels, names) for rows in groups.values()]
    return sorted(overlaps, key=lambda overlap: (-len(overlap.labels), -sum(overlap.rows.values()), overlap.text))


def leaked_rows(overlaps: Sequence[Overlap]) -> dict[SplitName, int]:
    """Count the rows of each other split whose text also occurs in the training split."""
    leaked: dict[SplitName, int] = {}
    for overlap in overlaps:
        if "train" in overlap.rows:
            for split, count in overlap.rows.items():
                if split != "train":
                    leaked[split] = leaked.get(split, 0) + count
    return leaked


def normalized(text: str) -> str:
    """Set aside what does not make a text another one. Symbols stay: an emoji may be the whole sentiment."""
    folded = _URL.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return _SPACE.sub(" ", folded.translate(_punctuation())).strip()


def _key(text: str) -> bytes:
    """Hash a text to 16 bytes; nothing for a text of nothing but punctuation."""
    content = normalized(text)
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest() if content else b""


def _overlap(
    rows: Sequence[tuple[SplitName, int]],
    splits: Mapping[SplitName, Sequence[str]],
    labels: Mapping[SplitName, Indices],
    names: Sequence[str],
) -> Overlap:
    counts: dict[SplitName, int] = {}
    for split, _ in rows:
        counts[split] = counts.get(split, 0) + 1
    split, row = rows[0]
    carried = sorted({int(labels[split][row]) for split, row in rows})
    return Overlap(text=excerpt(splits[split][row]), rows=counts, labels=[names[index] for index in carried])


@cache
def _punctuation() -> dict[int, str]:
    """Map punctuation and control characters to spaces. Marks stay: without vowel signs no Nepali word is itself."""
    return {
        code: " "
        for code in range(sys.maxunicode + 1)
        if (category := unicodedata.category(chr(code)))[0] == "P" or category in ("Cc", "Cf")
    }
