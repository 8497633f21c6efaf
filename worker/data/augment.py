"""Easy data augmentation: altered copies of training texts, a pure function of rows, options and seed.

Wei and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks", 2019.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.schemas.augmentation import AugmentationOptions, AugmentationTechnique
from app.schemas.jobs import JobWarning
from worker.data.rows import Rows
from worker.data.synonyms import Synonyms, WordList
from worker.data.words import Sentence, Word, has_spaces_between_words, parse

Random = np.random.Generator
ROWS_BETWEEN_CHECKS = 1000

NO_SPACES = "no-spaces-between-words"
TOO_SHORT = "too-short"
NO_WORD_LIST = "no-word-list"
NO_SYNONYM = "no-synonym"
UNCHANGED = "unchanged"


class NotApplicable(Exception):
    """A technique cannot alter this text; the message is the reason's slug."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a technique may use."""

    random: Random
    probability: float
    words: WordList | None

    def times(self, sentence: Sentence) -> int:
        """Give the number of words to change: the share of all, one at least."""
        return max(1, int(self.probability * len(sentence.places())))


@dataclass(frozen=True, slots=True)
class Augmented:
    """The training rows with their altered copies behind them, and what became of each wish."""

    rows: Rows
    """Difficulties, if any, are those of the originals."""
    origin: NDArray[np.int64]  # (rows,)
    """For each row the index of the row it was made from; originals point at themselves."""
    made: Mapping[AugmentationTechnique, int]
    """Copies by technique."""
    passed_over: Mapping[str, int]
    """How often a technique could not alter a text, by ``TECHNIQUE/REASON``."""
    left_alone: Mapping[str, int]
    """Copies that were not made because nothing could alter the text, by reason."""


def augment(
    rows: Rows, options: AugmentationOptions, seed: int, synonyms: Synonyms, check: Callable[[], None] = lambda: None
) -> Augmented:
    """Add the copies that ``options`` ask for; texts that cannot be altered keep no copy of themselves.

    ``check`` is called now and then and may raise to stop.
    """
    copies, origin = Rows(), list(range(len(rows.texts)))
    made: Counter[AugmentationTechnique] = Counter()
    passed_over, left_alone = Counter[str](), Counter[str]()
    for row, (text, label) in enumerate(zip(rows.texts, rows.labels, strict=True)):
        if row % ROWS_BETWEEN_CHECKS == 0:
            check()
        for copy in range(options.augmentation_factor if options.enabled else 0):
            altered = _altered(text, options, np.random.default_rng([seed, row, copy]), synonyms, passed_over)
            if isinstance(altered, str):
                left_alone[altered] += 1
                continue
            technique, new_text = altered
            made[technique] += 1
            copies.texts.append(new_text)
            copies.labels.append(label)
            origin.append(row)
    together = Rows(rows.texts + copies.texts, rows.labels + copies.labels, rows.difficulties)
    return Augmented(together, np.array(origin, dtype=np.int64), made, passed_over, left_alone)


def warnings(augmented: Augmented) -> Iterator[JobWarning]:
    """Say which wishes could not be granted, and why."""
    unspaced = augmented.left_alone.get(NO_SPACES, 0)
    others = sum(augmented.left_alone.values()) - unspaced
    without_list = max(
        (times for reason, times in augmented.passed_over.items() if reason.endswith(NO_WORD_LIST)), default=0
    )
    if unspaced:
        yield JobWarning(
            code="augmentation-no-word-spaces",
            detail=f"{unspaced} copies were not made: the script of their texts does not part words by spaces.",
            remedy="Augment such texts with a tool that knows the language, and upload the result.",
        )
    if without_list:
        yield JobWarning(
            code="augmentation-no-word-list",
            detail=f"{without_list} times synonyms could not be used: no word list fits the language of the text.",
            remedy="Give the worker a LANG.json in TUNESMITH_SYNONYMS_DIR, or name the language in the options.",
        )
    if others:
        yield JobWarning(
            code="augmentation-left-alone",
            detail=f"{others} copies were not made: their texts are too short or were drawn as they are.",
            remedy="Choose more techniques, or a higher probability.",
        )


def synonym_replacement(sentence: Sentence, setting: Setting) -> Sentence:
    """Replace words by synonyms of the same case; each at most once."""
    alternatives = _replaceable(sentence, setting)
    chosen = setting.random.permutation(sorted(alternatives))[: setting.times(sentence)]
    words = list(sentence.words)
    for place in map(int, chosen):
        core = words[place].core
        words[place] = replace(words[place], core=_in_case_of(core, _pick(alternatives[place], setting.random)))
    return replace(sentence, words=tuple(words))


def random_insertion(sentence: Sentence, setting: Setting) -> Sentence:
    """Insert synonyms of random words of the text before random words, so that closing punctuation stays last."""
    alternatives = list(_replaceable(sentence, setting).values())
    words, gaps = list(sentence.words), list(sentence.gaps)
    for _ in range(setting.times(sentence)):
        synonym = _pick(alternatives[setting.random.integers(len(alternatives))], setting.random)
        place = int(setting.random.integers(len(words)))
        words.insert(place, Word("", synonym, ""))
        gaps.insert(place, " ")
    return Sentence(tuple(words), tuple(gaps))


def random_swap(sentence: Sentence, setting: Setting) -> Sentence:
    """Exchange two random words, again and again; punctuation stays where it was."""
    places = sentence.places()
    if len({sentence.words[place].core for place in places}) < 2:
        raise NotApplicable(TOO_SHORT)
    words = list(sentence.words)
    for _ in range(setting.times(sentence)):
        first, second = (places[index] for index in setting.random.choice(len(places), 2, replace=False))
        one, other = words[first], words[second]
        words[first], words[second] = replace(one, core=other.core), replace(other, core=one.core)
    return replace(sentence, words=tuple(words))


def random_deletion(sentence: Sentence, setting: Setting) -> Sentence:
    """Delete each word with the given probability, its punctuation with it; one word always stays."""
    places = sentence.places()
    if len(places) < 2:
        raise NotApplicable(TOO_SHORT)
    doomed = {place for place in places if setting.random.random() < setting.probability}
    if len(doomed) == len(places):
        doomed.discard(places[setting.random.integers(len(places))])
    kept = [place for place in range(len(sentence.words)) if place not in doomed]
    return Sentence(
        words=tuple(sentence.words[place] for place in kept), gaps=tuple(sentence.gaps[place - 1] for place in kept[1:])
    )


TECHNIQUES: dict[AugmentationTechnique, Callable[[Sentence, Setting], Sentence]] = {
    "synonym_replacement": synonym_replacement,
    "random_insertion": random_insertion,
    "random_swap": random_swap,
    "random_deletion": random_deletion,
}


def _altered(
    text: str, options: AugmentationOptions, random: Random, synonyms: Synonyms, passed_over: Counter[str]
) -> tuple[AugmentationTechnique, str] | str:
    """Alter a text by the first technique in random order that can, or give the reason why none can."""
    if not has_spaces_between_words(text):
        return NO_SPACES
    sentence = parse(text)
    setting = Setting(random, options.probability, _word_list(sentence, options, synonyms))
    reason = TOO_SHORT
    for index in random.permutation(len(options.techniques)):
        technique = options.techniques[index]
        try:
            altered = str(TECHNIQUES[technique](sentence, setting))
        except NotApplicable as error:
            reason = str(error)
        else:
            if altered != str(sentence):
                return technique, altered
            reason = UNCHANGED
        passed_over[f"{technique}/{reason}"] += 1
    return reason


def _word_list(sentence: Sentence, options: AugmentationOptions, synonyms: Synonyms) -> WordList | None:
    if options.language != "auto":
        return synonyms.of(options.language)
    return synonyms.recognise([sentence.words[place].core for place in sentence.places()])


def _replaceable(sentence: Sentence, setting: Setting) -> dict[int, tuple[str, ...]]:
    """Give the alternatives of the words that have some, by position."""
    if setting.words is None:
        raise NotApplicable(NO_WORD_LIST)
    found = {place: setting.words.alternatives(sentence.words[place].core) for place in sentence.places()}
    usable = {place: words for place, words in found.items() if words}
    if not usable:
        raise NotApplicable(NO_SYNONYM)
    return usable


def _pick(words: tuple[str, ...], random: Random) -> str:
    return words[random.integers(len(words))]


def _in_case_of(old: str, new: str) -> str:
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
