"""A text as words and what stands between them; punctuation is kept apart from the word it hangs on."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import zip_longest

# Scripts that do not part words by spaces: a word there cannot be found without a dictionary.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\u1780-\u17ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese, Khmer, Tai Tham
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # Han
)
_JOINERS = "\u200c\u200d"
_ADDRESS = re.compile(r"[@#]\w|www\.|\w+://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Word:
    """One run of characters without white space: its word, and the punctuation before and after it."""

    before: str
    core: str
    """Empty when there is only punctuation, such as a dash or a smiley."""
    after: str

    def __str__(self) -> str:
        return self.before + self.core + self.after


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and the white space between them: one gap fewer than words."""

    words: tuple[Word, ...]
    gaps: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f"{word}{gap}" for word, gap in zip_longest(self.words, self.gaps, fillvalue=""))

    def places(self) -> list[int]:
        """Give the positions of the words that are more than punctuation."""
        return [place for place, word in enumerate(self.words) if word.core]


def parse(text: str) -> Sentence:
    """Split a text at its white space; ``str`` puts it together again, without white space at its ends."""
    pieces = re.split(r"(\s+)", text.strip())
    return Sentence(tuple(map(_word, pieces[::2])) if pieces != [""] else (), tuple(pieces[1::2]))


def has_spaces_between_words(text: str) -> bool:
    """Say whether most letters of a text belong to scripts that part words by spaces."""
    letters = sum(map(_belongs_to_word, text))
    return len(_UNSPACED.findall(text)) * 2 <= letters


def _word(piece: str) -> Word:
    if _ADDRESS.match(piece):
        return Word("", piece, "")
    start, end = 0, len(piece)
    while start < end and not _belongs_to_word(piece[start]):
        start += 1
    while end > start and not _belongs_to_word(piece[end - 1]):
        end -= 1
    return Word(piece[:start], piece[start:end], piece[end:])


def _belongs_to_word(character: str) -> bool:
    """Letters, digits, and the marks and joiners that scripts such as Devanagari write vowels with."""
    return character.isalnum() or character in _JOINERS or unicodedata.category(character).startswith("M")
