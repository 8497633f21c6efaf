"""Texts longer than a model reads: beginning and end, chunks, and how much was seen of them, told truthfully."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder, head_of
from tests.app.text.test_tokenizer import CLS, PAD, SEP, bytelevel, wordpiece

texts = st.lists(st.text(alphabet="abxy !é", max_size=90), min_size=1, max_size=5)
kinds = st.sampled_from([wordpiece, bytelevel])
"""A tokenizer that puts special tokens at both ends, and one that has none."""


def reading(make: Any, **settings: Any) -> TextEncoder:
    """Read as these settings say, with the tokenizer of the other tests."""
    plain = make()
    kept = plain.settings.model_copy(update=settings)
    return TextEncoder(Tokenizer.from_str(plain._tokenizer.to_str()), kept, TextOptions())


def content(make: Any, text: str) -> list[int]:
    """Give all ids of a text without the special tokens."""
    ids = make(100_000).encode([text]).ids[0].tolist()
    return ids[1:-1] if make is wordpiece else ids


def test_head_tail_keeps_128_and_382_of_512_tokens() -> None:
    encoder = reading(wordpiece, max_length=512, long_text="head_tail")
    words = [f"{word} " for word in ("good", "bad", "film", "the", "a", "x")]
    text = "".join(words[index % 6] for index in range(900))
    ids = encoder.encode([text]).ids[0].tolist()
    whole = content(wordpiece, text)
    assert ids == [CLS, *whole[:128], *whole[-382:], SEP]


@given(texts, st.integers(8, 40), kinds)
def test_head_tail_cuts_only_what_is_too_long_and_only_its_middle(batch: list[str], longest: int, make: Any) -> None:
    encoder = reading(make, max_length=longest, long_text="head_tail")
    encoded = encoder.encode(batch)
    assert encoded.tokens == encoder.lengths(batch) == make(100_000).encode(batch).tokens
    for text, ids, tokens, cut in zip(batch, encoded.ids, encoded.tokens, encoded.truncated, strict=True):
        whole = make(100_000).encode([text]).ids[0].tolist()
        assert cut is (tokens > longest)
        kept = whole if not cut else whole[: head_of(longest)] + whole[head_of(longest) - longest :]
        assert ids.tolist() == kept
        assert len(kept) == min(tokens, longest)


@given(texts, st.integers(8, 20), st.integers(1, 6), st.integers(0, 4), kinds)
def test_chunks_are_all_of_the_text_each_with_its_special_tokens(
    batch: list[str], longest: int, most: int, overlap: int, make: Any
) -> None:
    encoder = reading(make, max_length=longest, long_text="hierarchical", max_chunks=most, overlap=overlap)
    encoded = encoder.encode(batch)
    assert encoded.tokens == encoder.lengths(batch) == make(100_000).encode(batch).tokens
    feed = encoder.feed(encoded.ids)
    assert list(feed) == ["input_ids", "attention_mask", "chunk_index"]
    assert feed["chunk_index"].max() + 1 == len(feed["input_ids"])
    for text, chunks, cut in zip(batch, feed["chunk_index"], encoded.truncated, strict=True):
        own = [feed["input_ids"][row][feed["attention_mask"][row] == 1].tolist() for row in chunks[chunks >= 0]]
        if make is wordpiece:
            assert all((chunk[0], chunk[-1]) == (CLS, SEP) for chunk in own)
            own = [chunk[1:-1] for chunk in own]
        whole = content(make, text)
        seen = own[0] + [piece for chunk in own[1:] for piece in chunk[overlap:]]
        assert seen == whole[: len(seen)]
        assert cut is (len(seen) < len(whole))
        assert len(own) <= most
        assert not cut or len(own) == most


def test_the_feed_says_which_chunks_are_whose() -> None:
    encoder = reading(wordpiece, max_length=5, long_text="hierarchical", max_chunks=3)
    feed = encoder.feed(encoder.encode(["good bad", "good " * 7, "", "x " * 99]).ids)
    assert feed["chunk_index"].tolist() == [[0, -1, -1], [1, 2, 3], [4, -1, -1], [5, 6, 7]]
    assert feed["attention_mask"].sum(axis=1).tolist() == [4, 5, 5, 3, 2, 5, 5, 5]
    assert encoder.pieces(np.array([4, 13, 2, 15])).tolist() == [1, 3, 1, 3]
    assert feed["input_ids"].dtype == feed["chunk_index"].dtype == np.int64


@pytest.mark.parametrize("chunks", [None, 3])
def test_the_smallest_feed_has_padding_and_a_text_of_two_chunks(chunks: int | None) -> None:
    feed = reading(wordpiece, max_length=8, max_chunks=chunks).smallest_feed()
    assert set(feed["attention_mask"].sum(axis=1).tolist()) == {2, 3}
    assert (feed["input_ids"] == PAD).all()
    if chunks:
        assert feed["chunk_index"].tolist() == [[0, -1], [1, 2]]


def test_settings_of_older_versions_still_mean_truncation() -> None:
    settings = TokenizerSettings.model_validate({"max_length": 8, "pad_token_id": 0})
    assert (settings.long_text, settings.max_chunks, settings.overlap) == ("truncate", None, 0)
