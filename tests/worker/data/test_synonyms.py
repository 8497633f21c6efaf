"""The built-in word list, lists of the operator, and telling a language by its markers."""

import json
from pathlib import Path

import pytest

from app.errors import JobFailure
from worker.data.synonyms import BUILT_IN, Synonyms, fold, load_synonyms

ENGLISH = (
    "this film is really great and i would watch it again",
    "They didn't even answer my email.",
    "Don’t buy it",
    "what a waste",
)
FOREIGN = (
    "Dieser Film war so gut, dass ich ihn noch einmal sehen will",
    "Ik was in de stad en we hebben het over een film gehad",
    "No me gusta nada, es una porquería que has hecho",
    "Il film è bello, me lo ricordo come se fosse ieri",
    "Le but du film est de faire rire, on a bien aimé",
    "O filme foi bom, mas o time não jogou nada",
    "To jest bardzo dobry film, ale był za długi",
    "Filmen var så bra att jag vill se den igen",
    "Bu film her zaman çok güzel",
    "Most már tudom, here vagy",
    "Phim này rất hay và tôi thích nó",
    "यो फिल्म राम्रो छ",
    "Фильм очень хороший",
    "Er sagte: the best, und ging dann nach Hause, weil es schon spät war",
    "फिल्म ekdum good छ",
    "",
)


@pytest.fixture(scope="module")
def built_in() -> Synonyms:
    return load_synonyms(None)


def write(file: Path, **content: object) -> Path:
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_recognised(built_in: Synonyms, text: str) -> None:
    found = built_in.recognise(text.replace(",", "").replace(".", "").split())
    assert found is not None and found.language == "en"


@pytest.mark.parametrize("text", FOREIGN)
def test_other_languages_are_not_taken_for_english(built_in: Synonyms, text: str) -> None:
    assert built_in.recognise(text.replace(",", "").replace(".", "").split()) is None


def test_the_built_in_sets_are_clean() -> None:
    content = json.loads((BUILT_IN / "en.json").read_bytes())
    words = [word for words in content["synonyms"] for word in words]
    assert len(content["synonyms"]) > 300
    assert len(words) == len(set(words)), "a word in two sets has two meanings"
    assert all(word == fold(word) and word.isascii() and word.isalpha() for word in words)
    assert not set(words) & set(content["stop_words"])


def test_synonyms_are_symmetric_and_never_the_word_itself(built_in: Synonyms) -> None:
    english = built_in.of("en")
    assert english is not None
    for word, others in english.synonyms.items():
        assert word not in others
        assert all(word in english.alternatives(other) for other in others)


def test_look_up_ignores_case_and_kind_of_apostrophe(tmp_path: Path) -> None:
    words = load_synonyms(write(tmp_path / "xx.json", synonyms=[["don't", "won't"]])).of("xx")
    assert words is not None
    assert words.alternatives("DON’T") == ("won't",)
    assert words.alternatives("unknown") == ()


def test_stop_words_are_no_synonyms(tmp_path: Path) -> None:
    words = load_synonyms(write(tmp_path / "xx.json", synonyms=[["aa", "bb", "cc"]], stop_words=["bb"])).of("xx")
    assert words is not None
    assert words.alternatives("aa") == ("cc",)
    assert words.alternatives("bb") == ()


def test_the_operators_folder_adds_languages_and_replaces_built_in_ones(tmp_path: Path) -> None:
    write(tmp_path / "ne.json", synonyms=[["राम्रो", "असल"]], markers=["छ", "यो"])
    write(tmp_path / "en.json", synonyms=[["good", "fine"]])
    synonyms = load_synonyms(tmp_path)
    nepali = synonyms.recognise(["यो", "फिल्म", "राम्रो", "छ"])
    assert nepali is not None and nepali.alternatives("राम्रो") == ("असल",)
    english = synonyms.of("en")
    assert english is not None and list(english.synonyms) == ["good", "fine"]
    assert synonyms.recognise(["they", "would", "watch", "this"]) is None, "without markers no text is recognised"


def test_a_tie_between_languages_is_no_answer(tmp_path: Path) -> None:
    for language in ("aa", "bb"):
        write(tmp_path / f"{language}.json", synonyms=[["x", "y"]], markers=["zo", "za"])
    assert load_synonyms(tmp_path).recognise(["zo", "za"]) is None


@pytest.mark.parametrize(
    "content",
    ["{", '{"synonyms": [["one"]]}', '{"synonyms": [["two words", "x"]]}', '{"synonyms": [], "extra": 1}', "[]"],
)
def test_a_malformed_list_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "xx.json"
    file.write_text(content)
    with pytest.raises(JobFailure) as failure:
        load_synonyms(file)
    assert failure.value.code == "synonyms-unreadable"
    assert "xx.json" in failure.value.detail
    assert "TUNESMITH_SYNONYMS_DIR" in (failure.value.remedy or "")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match=r"gone\.json"):
        load_synonyms(tmp_path / "gone.json")
