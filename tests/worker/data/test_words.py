"""Splitting a text into words and punctuation, in scripts with and without spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.data.words import Word, has_spaces_between_words, parse


@given(st.text())
def test_nothing_is_lost_but_white_space_at_the_ends(text: str) -> None:
    assert str(parse(text)) == text.strip()


@given(st.text())
def test_the_parts_of_a_word_are_the_word(text: str) -> None:
    for word in parse(text).words:
        assert str(word).split() == [str(word)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(Hello, world!)", [Word("(", "Hello", ","), Word("", "world", "!)")]),
        ("don't «stop» —", [Word("", "don't", ""), Word("«", "stop", "»"), Word("—", "", "")]),
        (
            "@user, #fun: https://a.b/c.",
            [Word("", "@user,", ""), Word("", "#fun:", ""), Word("", "https://a.b/c.", "")],
        ),
        # Vowel signs and the virama belong to the word, the danda does not.
        ("राम्रो छ।", [Word("", "राम्रो", ""), Word("", "छ", "।")]),
    ],
)
def test_punctuation_is_kept_apart(text: str, words: list[Word]) -> None:
    assert list(parse(text).words) == words


SPACED = ("", "good film", "यो फिल्म राम्रो छ", "좋은 영화 였다", "فيلم جيد", "12:30!", "tasty 寿司")
UNSPACED = (
    "这部电影很好看",
    "この映画は 面白い",
    "หนังเรื่องนี้ดีมาก",
    "ຮູບເງົານີ້ດີ",
    "ရုပ်ရှင်ကောင်းတယ်",
    "ល្អណាស់",
    "ཡག་པོ་འདུག",
)


@pytest.mark.parametrize("text", SPACED)
def test_scripts_with_spaces(text: str) -> None:
    assert has_spaces_between_words(text)


@pytest.mark.parametrize("text", UNSPACED)
def test_scripts_without_spaces(text: str) -> None:
    assert not has_spaces_between_words(text)
