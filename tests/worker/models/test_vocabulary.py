"""Tokenizers learned from the training texts, read back by the encoder that serves them."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.errors import JobFailure
from app.schemas.families import TextCNNOptions
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from worker.events import Interrupted
from worker.models.vocabulary import PAD_TOKEN_ID, train_tokenizer

ENGLISH = ["The film was wonderful, wonderful!", "The film was awful.", "A wonderful story; awful acting."] * 5
NEPALI = ["यो फिल्म निकै राम्रो छ।", "यो फिल्म राम्रो छैन।", "कार्यक्रम राम्रो भयो, गर्‍यो"] * 5
THAI = ["หนังเรื่องนี้ดีมาก", "หนังเรื่องนี้ไม่ดี"] * 5
ALGORITHMS = ("wordpiece", "bpe")


def trained(folder: Path, texts: list[str], text: TextOptions | None = None, **options: object) -> Tokenizer:
    """Train on texts and read the file again."""
    file = folder / "tokenizer.json"
    train_tokenizer(texts, TextCNNOptions.model_validate(options), text or TextOptions(), file, check=lambda: None)
    return Tokenizer.from_file(str(file))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("texts", [ENGLISH, NEPALI, THAI], ids=["english", "nepali", "thai"])
def test_nothing_of_the_training_texts_is_unknown(tmp_path: Path, algorithm: str, texts: list[str]) -> None:
    tokenizer = trained(tmp_path, texts, tokenizer_algorithm=algorithm)
    for text in texts[:3]:
        encoding = tokenizer.encode(text)
        assert encoding.tokens[0] == "[CLS]" and encoding.tokens[-1] == "[SEP]"
        assert "[UNK]" not in encoding.tokens
        letters = "".join(text.lower().split())
        assert "".join(tokenizer.decode(encoding.ids).split()) == letters, "vowel signs and joiners are kept"


def test_frequent_words_become_one_piece(tmp_path: Path) -> None:
    assert "wonderful" in trained(tmp_path, ENGLISH).encode("wonderful").tokens
    assert "राम्रो" in trained(tmp_path, NEPALI).encode("राम्रो").tokens


def test_the_serving_encoder_takes_the_file(tmp_path: Path) -> None:
    trained(tmp_path, ENGLISH)
    settings = TokenizerSettings(max_length=8, pad_token_id=PAD_TOKEN_ID)
    encoder = TextEncoder.from_files(tmp_path / "tokenizer.json", settings, TextOptions())
    encoded = encoder.encode(["", "the film", " ".join(["awful"] * 50)])
    assert [len(ids) for ids in encoded.ids] == [2, 4, 8]
    assert encoded.truncated == [False, False, True]
    input_ids, mask = encoder.pad(encoded.ids)
    assert input_ids[0].tolist()[2:] == [PAD_TOKEN_ID] * 6
    assert mask.sum(axis=1).tolist() == [2, 4, 8]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [300, 30_000])
def test_the_same_texts_give_the_same_file(tmp_path: Path, algorithm: str, size: int) -> None:
    texts = [f"word{number % 37} other{number % 11} thing{number} Ünï 漢字" for number in range(400)]
    contents = set()
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        trained(folder, texts, tokenizer_algorithm=algorithm, vocab_size=size)
        contents.add((folder / "tokenizer.json").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_vocabulary_keeps_within_its_size(tmp_path: Path, algorithm: str) -> None:
    texts = [f"word{number} {chr(97 + number % 26) * 5}" for number in range(2000)] * 2
    assert trained(tmp_path, texts, tokenizer_algorithm=algorithm, vocab_size=300).get_vocab_size() <= 300


def test_capitals_count_when_asked_for(tmp_path: Path) -> None:
    cased = trained(tmp_path, ["US us"] * 5, lowercase=False)
    assert cased.encode("US").ids != cased.encode("us").ids
    uncased = trained(tmp_path, ["US us"] * 5)
    assert uncased.encode("US").ids == uncased.encode("us").ids


def test_texts_are_learned_as_they_will_be_cleaned(tmp_path: Path) -> None:
    texts = ["look at https://example.org/somewhere"] * 5
    vocabulary = trained(tmp_path, texts, TextOptions(urls="replace")).get_vocab()
    assert "http" in vocabulary
    assert not any("somewhere" in piece for piece in vocabulary)


def test_texts_without_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as failure:
        trained(tmp_path, ["   ", ""])
    assert failure.value.code == "no-vocabulary"
    assert not (tmp_path / "tokenizer.json").exists()


def test_training_stops_when_asked_to(tmp_path: Path) -> None:
    def check() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        train_tokenizer(ENGLISH, TextCNNOptions(), TextOptions(), tmp_path / "tokenizer.json", check=check)
