"""Word lists: which words of a language may stand for each other, and how the language of a text is recognised."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.errors import JobFailure

BUILT_IN = Path(__file__).parent / "wordlists"
FEW_WORDS = 6
"""Up to this length one marker tells the language; longer texts must have two different ones."""
MARKER_SHARE = 0.1
"""Share of the words that must be markers: a quotation in a foreign text is not enough."""

_OneWord = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\S+$")]


class WordListFile(BaseModel):
    """The content of a ``LANG.json``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    language: str | None = None
    """Language code; absent: the name of the file."""
    synonyms: list[Annotated[list[_OneWord], Field(min_length=2)]]
    """Sets of words that may stand for each other, in the same inflected form."""
    stop_words: list[_OneWord] = []
    """Words that carry grammar and are never replaced."""
    markers: list[_OneWord] = []
    """Frequent words that tell the language from others; absent: it is used only where a job names it."""


@dataclass(frozen=True, slots=True)
class WordList:
    """One language's words, case-folded."""

    language: str
    synonyms: Mapping[str, tuple[str, ...]]
    markers: frozenset[str]

    def alternatives(self, word: str) -> tuple[str, ...]:
        """Give the words that may stand for ``word``, in lower case; none for an unknown one."""
        return self.synonyms.get(fold(word), ())


class Synonyms:
    """The word lists of a worker by language."""

    def __init__(self, lists: Iterable[WordList]) -> None:
        self._lists = {words.language: words for words in lists}

    def of(self, language: str) -> WordList | None:
        """Give the list of a language."""
        return self._lists.get(language)

    def recognise(self, words: Sequence[str]) -> WordList | None:
        """Give the list whose markers most of ``words`` are; None when none is sure, or two are equally so."""
        folded = [fold(word) for word in words]
        ranked = sorted(
            (
                (len(found), position)
                for position, one in enumerate(self._lists.values())
                if (found := _found(folded, one))
            ),
            reverse=True,
        )
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return list(self._lists.values())[ranked[0][1]]


def load_synonyms(configured: Path | None) -> Synonyms:
    """Read the built-in lists and those of the operator, a folder of ``LANG.json`` or one such file, which win.

    Raises JobFailure ``synonyms-unreadable``.
    """
    files = sorted(BUILT_IN.glob("*.json"))
    if configured is not None:
        files += sorted(configured.glob("*.json")) if configured.is_dir() else [configured]
    return Synonyms(map(_read, files))


def fold(word: str) -> str:
    """Give the form in which words are compared: no case, composed, a straight apostrophe."""
    return unicodedata.normalize("NFC", word.casefold()).replace("\u2019", "'")


def _found(folded: Sequence[str], one: WordList) -> list[str]:
    hits = [word for word in folded if word in one.markers]
    enough = 1 if len(folded) <= FEW_WORDS else 2
    return hits if len(set(hits)) >= enough and len(hits) >= MARKER_SHARE * len(folded) else []


def _read(file: Path) -> WordList:
    try:
        content = WordListFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise _unreadable(file, "it cannot be read") from error
    except ValidationError as error:
        where = "/".join(map(str, error.errors()[0]["loc"]))
        raise _unreadable(file, f"it is not in the format of a word list ({where or 'JSON'})") from None
    stop_words = {fold(word) for word in content.stop_words}
    return WordList(
        language=content.language or file.stem,
        synonyms=_by_word(content.synonyms, stop_words),
        markers=frozenset(map(fold, content.markers)),
    )


def _by_word(sets: Iterable[Sequence[str]], stop_words: set[str]) -> dict[str, tuple[str, ...]]:
    """Turn sets into a table; a word in several sets has the words of all of them."""
    table: dict[str, dict[str, None]] = {}
    for words in sets:
        usable = dict.fromkeys(word for word in words if fold(word) not in stop_words)
        for word in usable:
            table.setdefault(fold(word), {}).update(
                dict.fromkeys(other for other in usable if fold(other) != fold(word))
            )
    return {word: tuple(others) for word, others in table.items() if others}


def _unreadable(file: Path, why: str) -> JobFailure:
    return JobFailure(
        detail=f"The word list {file.name} cannot be used: {why}.",
        code="synonyms-unreadable",
        remedy="Correct the file in TUNESMITH_SYNONYMS_DIR: JSON with synonyms, a list of lists of single words.",
        kind="user",
    )
