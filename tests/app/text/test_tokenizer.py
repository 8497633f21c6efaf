"""Text to ids: lengths, truncation, padding, and texts that mean harm."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "##s", "the", "a", "!", "x"]
PAD, UNK, CLS, SEP, GOOD, BAD, FILM, PLURAL, THE = range(9)


def wordpiece(max_length: int = 8, options: TextOptions | None = None) -> TextEncoder:
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    # What a checkpoint's file may carry and must not matter.
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(3)
    settings = TokenizerSettings(max_length=max_length, pad_token_id=PAD)
    return TextEncoder.from_files(tokenizer.to_str().encode(), settings, options or TextOptions())


def bytelevel(max_length: int = 8) -> TextEncoder:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    settings = TokenizerSettings(max_length=max_length, pad_token_id=1)
    return TextEncoder.from_files(tokenizer.to_str().encode(), settings, TextOptions())


def test_ids_carry_the_special_tokens() -> None:
    encoded = wordpiece().encode(["The good films"])
    assert encoded.ids[0].tolist() == [CLS, THE, GOOD, FILM, PLURAL, SEP]
    assert encoded.ids[0].dtype == np.int64
    assert (encoded.tokens, encoded.truncated) == ([6], [False])


def test_truncation_keeps_the_special_tokens_and_counts_the_whole_text() -> None:
    encoder = wordpiece(max_length=5)
    encoded = encoder.encode(["good " * 3, "good " * 4, "bad " * 1000])
    assert [row.tolist() for row in encoded.ids] == [
        [CLS, *[GOOD] * 3, SEP],
        [CLS, *[GOOD] * 3, SEP],
        [CLS, *[BAD] * 3, SEP],
    ]
    assert encoded.tokens == [5, 6, 1002]
    assert encoded.truncated == [False, True, True]


@given(st.lists(st.text(max_size=60), max_size=6), st.integers(3, 20), st.sampled_from([wordpiece, bytelevel]))
def test_lengths_do_not_depend_on_the_limit(texts: list[str], max_length: int, make: type) -> None:
    short, long = make(max_length), make(100_000)
    encoded, whole = short.encode(texts), long.encode(texts)
    assert encoded.tokens == short.lengths(texts) == [len(row) for row in whole.ids]
    assert encoded.truncated == [tokens > max_length for tokens in encoded.tokens]
    assert [len(row) for row in encoded.ids] == [min(tokens, max_length) for tokens in encoded.tokens]


def test_padding_goes_right_up_to_the_longest() -> None:
    encoder = wordpiece()
    input_ids, attention_mask = encoder.pad(encoder.encode(["good", "the bad film"]).ids)
    assert input_ids.tolist() == [[CLS, GOOD, SEP, PAD, PAD], [CLS, THE, BAD, FILM, SEP]]
    assert attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert input_ids.dtype == attention_mask.dtype == np.int64


def test_padding_uses_the_models_own_id() -> None:
    encoder = bytelevel()
    input_ids, _ = encoder.pad(encoder.encode(["ab", "a"]).ids)
    assert input_ids[1, 1] == 1


def test_nothing_gives_nothing() -> None:
    encoder = wordpiece()
    encoded = encoder.encode([])
    assert (encoded.ids, encoded.tokens, encoded.truncated) == ([], [], [])
    assert encoder.pad([])[0].shape == (0, 0)
    assert encoder.encode([""]).ids[0].tolist() == [CLS, SEP]


def test_the_text_is_cleaned_first() -> None:
    encoder = wordpiece(options=TextOptions(strip_mentions=True))
    assert encoder.encode(["@x good"]).tokens == encoder.encode(["@user good"]).tokens


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "a\udfffb",
        "\ud83d\ude00",
        "a\0b",
        "\0" * 10_000,
        "😀" * 10_000,
        "a" + "\u0301\u0316" * 500_000,
        "\u202e‮אב",
    ],
    ids=["lone-surrogate", "surrogate-inside", "split-pair", "nul", "nuls", "emoji", "marks", "right-to-left"],
)
@pytest.mark.parametrize("make", [wordpiece, bytelevel])
def test_hostile_texts_are_only_texts(text: str, make: type) -> None:
    encoded = make().encode([text, "good"])
    assert len(encoded.ids[0]) <= 8
    assert encoded.ids[1].tolist() == make().encode(["good"]).ids[0].tolist()


def test_many_threads_share_one_encoder() -> None:
    encoder = wordpiece()
    expected = {length: encoder.encode(["good " * length]).ids[0].tolist() for length in range(20)}
    wrong: list[int] = []

    def work(seed: int) -> None:
        for step in range(200):
            lengths = [(seed + step) % 20, (seed * step) % 20]
            encoded = encoder.encode(["good " * length for length in lengths])
            wrong.extend(n for n, row in zip(lengths, encoded.ids, strict=True) if row.tolist() != expected[n])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
