"""Each technique against its definition, and the copies of a whole split."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.schemas.augmentation import AugmentationOptions, AugmentationTechnique
from worker.data.augment import (
    TECHNIQUES,
    Augmented,
    NotApplicable,
    Setting,
    augment,
    random_deletion,
    random_insertion,
    random_swap,
    synonym_replacement,
    warnings,
)
from worker.data.rows import Rows
from worker.data.synonyms import Synonyms, WordList, fold, load_synonyms
from worker.data.words import Sentence, parse

SYNONYMS = load_synonyms(None)
FOUND = SYNONYMS.of("en")
assert FOUND is not None
ENGLISH: WordList = FOUND
KNOWN = sorted(ENGLISH.synonyms)
NEPALI = "यो फिल्म निकै राम्रो छ, सबैले हेर्नु पर्छ।"

plain = st.sampled_from(["zig", "zag", "Zog", "ZUG", "घर", "дом", "été", "42"])
word = st.one_of(plain, st.sampled_from(KNOWN))
punctuated = st.tuples(st.sampled_from(["", "(", "«"]), word, st.sampled_from(["", ".", "!?", "।"])).map("".join)
sentences = st.lists(st.one_of(punctuated, st.sampled_from(["—", ":)", "@user", "#tag"])), min_size=1, max_size=30).map(
    lambda words: parse(" ".join(words))
)
probabilities = st.floats(0.01, 0.5)
seeds = st.integers(0, 2**32 - 1)
calm = settings(deadline=None, max_examples=60)


def setting(seed: int, probability: float, words: WordList | None = ENGLISH) -> Setting:
    return Setting(np.random.default_rng(seed), probability, words)


def cores(sentence: Sentence) -> list[str]:
    return [word.core for word in sentence.words if word.core]


def applied(technique: AugmentationTechnique, sentence: Sentence, setting: Setting) -> Sentence | None:
    try:
        return TECHNIQUES[technique](sentence, setting)
    except NotApplicable:
        return None


@calm
@given(sentences, probabilities, seeds)
def test_replacement_changes_the_wanted_number_of_known_words_into_their_synonyms(
    sentence: Sentence, probability: float, seed: int
) -> None:
    known = [core for core in cores(sentence) if ENGLISH.alternatives(core)]
    new = applied("synonym_replacement", sentence, setting(seed, probability))
    if new is None:
        assert not known
        return
    changed = [(old, now) for old, now in zip(sentence.words, new.words, strict=True) if old != now]
    assert len(changed) == min(len(known), max(1, int(probability * len(cores(sentence)))))
    for old, now in changed:
        assert fold(now.core) in map(fold, ENGLISH.alternatives(old.core))
        assert (now.before, now.after) == (old.before, old.after)
    assert new.gaps == sentence.gaps


@calm
@given(sentences, probabilities, seeds)
def test_insertion_adds_the_wanted_number_of_synonyms_of_its_words(
    sentence: Sentence, probability: float, seed: int
) -> None:
    allowed = {other for core in cores(sentence) for other in ENGLISH.alternatives(core)}
    new = applied("random_insertion", sentence, setting(seed, probability))
    if new is None:
        assert not allowed
        return
    added = Counter(map(str, new.words)) - Counter(map(str, sentence.words))
    assert sum(added.values()) == max(1, int(probability * len(cores(sentence))))
    assert set(added) <= allowed
    rest = iter(map(str, new.words))
    assert all(word in rest for word in map(str, sentence.words)), "the old words keep their order"
    assert new.words[-1] == sentence.words[-1]


@calm
@given(sentences, probabilities, seeds)
def test_swapping_permutes_words_and_leaves_punctuation_in_place(
    sentence: Sentence, probability: float, seed: int
) -> None:
    new = applied("random_swap", sentence, setting(seed, probability, None))
    if new is None:
        assert len(set(cores(sentence))) < 2
        return
    assert sorted(cores(new)) == sorted(cores(sentence))
    assert [(word.before, word.after) for word in new.words] == [(word.before, word.after) for word in sentence.words]
    moved = sum(old != now for old, now in zip(sentence.words, new.words, strict=True))
    assert moved <= 2 * max(1, int(probability * len(cores(sentence))))


@calm
@given(sentences, probabilities, seeds)
def test_deletion_keeps_the_rest_in_order_and_never_all_goes(sentence: Sentence, probability: float, seed: int) -> None:
    new = applied("random_deletion", sentence, setting(seed, probability, None))
    if new is None:
        assert len(cores(sentence)) < 2
        return
    rest = iter(sentence.words)
    assert all(word in rest for word in new.words)
    assert cores(new)
    gone = len(sentence.words) - len(new.words)
    assert gone == len(cores(sentence)) - len(cores(new)), "punctuation that stands alone stays"


def test_deletion_deletes_each_word_with_the_given_chance() -> None:
    sentence = parse(" ".join(f"w{number}" for number in range(1000)))
    gone = [1000 - len(random_deletion(sentence, setting(seed, 0.1, None)).words) for seed in range(50)]
    # 50,000 draws: the mean of a binomial(1000, 0.1) is known to within 5 standard errors of 1.34.
    assert abs(float(np.mean(gone)) - 100) < 6.7


def test_even_certain_deletion_leaves_a_word() -> None:
    assert len(random_deletion(parse("one two three"), setting(1, 1.0, None)).words) == 1


def test_replacement_keeps_the_case() -> None:
    words = WordList("en", {"good": ("fine",)}, frozenset())
    new = synonym_replacement(parse("good Good GOOD, (Good)!"), setting(1, 1.0, words))
    assert str(new) == "fine Fine FINE, (Fine)!"


def test_insertion_and_swap_in_words() -> None:
    words = WordList("en", {"good": ("fine",)}, frozenset())
    inserted = random_insertion(parse("Good  film."), setting(3, 0.1, words))
    assert sorted(str(inserted).split()) == ["Good", "film.", "fine"]
    assert str(random_swap(parse("(Hello,\nworld!)"), setting(1, 0.1, None))) == "(world,\nHello!)"


def test_words_without_a_list_are_neither_replaced_nor_inserted() -> None:
    for technique in (synonym_replacement, random_insertion):
        with pytest.raises(NotApplicable, match="no-word-list"):
            technique(parse("good film"), setting(1, 0.1, None))


def options(*techniques: AugmentationTechnique, **more: object) -> AugmentationOptions:
    fields = {"techniques": list(techniques)} if techniques else {}
    return AugmentationOptions.model_validate(fields | more)


texts = st.lists(
    st.one_of(st.text(max_size=60), sentences.map(str), st.sampled_from([NEPALI, "这部电影很好看", "", "ok"])),
    max_size=8,
)


@calm
@given(texts, seeds, st.integers(1, 3))
def test_a_split_keeps_its_rows_and_gains_only_altered_copies(texts: list[str], seed: int, factor: int) -> None:
    rows = Rows(list(texts), [index % 3 for index in range(len(texts))])
    result = augment(rows, options(augmentation_factor=factor), seed, SYNONYMS)
    assert result.rows.texts[: len(texts)] == texts
    assert (rows.texts, len(rows.labels)) == (texts, len(texts)), "the input is left as it was"
    assert len(result.rows.texts) == len(result.rows.labels) == len(result.origin)
    assert len(result.rows.texts) - len(texts) == sum(result.made.values())
    assert sum(result.made.values()) + sum(result.left_alone.values()) == factor * len(texts)
    assert result.rows.labels == [rows.labels[origin] for origin in result.origin]
    for text, origin in zip(result.rows.texts[len(texts) :], result.origin[len(texts) :], strict=True):
        assert text.strip()
        assert text != texts[origin].strip()


def test_the_same_seed_gives_the_same_copies_and_another_seed_others() -> None:
    rows = Rows([f"this is the number {number} of many good films that they made" for number in range(20)], [0] * 20)
    first, again, other = (augment(rows, options(), seed, SYNONYMS).rows.texts for seed in (1, 1, 2))
    assert first == again != other


def test_the_copies_of_a_row_do_not_depend_on_the_rows_after_it() -> None:
    texts = [f"number {number} is the best film that they made" for number in range(10)]
    few = augment(Rows(texts[:5], [0] * 5), options("random_swap"), 7, SYNONYMS)
    many = augment(Rows(texts, [0] * 10), options("random_swap"), 7, SYNONYMS)
    assert few.rows.texts[5:] == many.rows.texts[10:15]


def test_no_english_word_enters_a_foreign_text() -> None:
    foreign = [NEPALI, "Le film était bon, on a bien aimé", "No me gusta, es muy malo", "Der Film war gut"]
    result = augment(Rows(foreign, [0] * 4), options(augmentation_factor=10), 1, SYNONYMS)
    for text, origin in zip(result.rows.texts, result.origin, strict=True):
        assert set(cores(parse(text))) <= set(cores(parse(foreign[origin])))
    assert result.passed_over["synonym_replacement/no-word-list"] > 0
    assert {warning.code for warning in warnings(result)} == {"augmentation-no-word-list"}


def test_nepali_is_augmented_by_its_own_list() -> None:
    nepali = WordList("ne", {"राम्रो": ("असल",), "असल": ("राम्रो",)}, frozenset({"यो", "छ", "पर्छ"}))
    result = augment(Rows([NEPALI], [1]), options("synonym_replacement"), 1, Synonyms([ENGLISH, nepali]))
    assert result.rows.texts[1] == NEPALI.replace("राम्रो", "असल")


def test_a_named_language_needs_no_recognition() -> None:
    rows = Rows(["good film"], [0])
    assert len(augment(rows, options("synonym_replacement", language="en"), 1, SYNONYMS).rows.texts) == 2
    assert augment(rows, options("synonym_replacement"), 1, SYNONYMS).left_alone == {"no-word-list": 1}
    assert augment(rows, options("synonym_replacement", language="fr"), 1, SYNONYMS).left_alone == {"no-word-list": 1}


def test_texts_without_spaces_are_left_alone_with_a_warning() -> None:
    result = augment(Rows(["这部电影很好看", "หนังเรื่องนี้ดีมาก"], [0, 1]), options(), 1, SYNONYMS)
    assert result.rows.texts == ["这部电影很好看", "หนังเรื่องนี้ดีมาก"]
    (warning,) = warnings(result)
    assert warning.code == "augmentation-no-word-spaces"
    assert warning.detail.startswith("2 copies")


def test_single_words_are_left_alone_with_a_warning() -> None:
    result: Augmented = augment(Rows(["zig!"], [0]), options("random_swap", "random_deletion"), 1, SYNONYMS)
    assert result.left_alone == {"too-short": 1}
    assert [warning.code for warning in warnings(result)] == ["augmentation-left-alone"]


def test_switched_off_options_add_nothing() -> None:
    result = augment(Rows(["a good film"], [0]), options(enabled=False), 1, SYNONYMS)
    assert result.rows.texts == ["a good film"]
    assert not list(warnings(result))


def test_every_technique_of_the_schema_is_implemented() -> None:
    assert list(TECHNIQUES) == AugmentationOptions().techniques
