"""A tokenizer.json is found, or made of the older files."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from app.errors import JobFailure
from worker.models.tokenizer import pad_token_id, tokenizer_file


def test_uses_the_folders_own(tiny_base: Path, tmp_path: Path) -> None:
    assert tokenizer_file(tiny_base, scratch=tmp_path) == tiny_base / "tokenizer.json"


def test_converts_an_older_vocabulary(tiny_base: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(tiny_base / "config.json", old)
    known = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    words = sorted(known.get_vocab(), key=known.get_vocab().__getitem__)
    (old / "vocab.txt").write_text("\n".join(words))
    (old / "tokenizer_config.json").write_text('{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}')
    made = tokenizer_file(old, scratch=tmp_path)
    assert made == tmp_path / "tokenizer.json"
    text = "The quiet lake was GREAT and grey"
    assert Tokenizer.from_file(str(made)).encode(text).ids == known.encode(text).ids


def test_a_folder_without_any_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(tiny_base / "config.json", bare)
    with pytest.raises(JobFailure) as caught:
        tokenizer_file(bare, scratch=tmp_path)
    assert caught.value.code == "unsupported-tokenizer"


def test_padding_id_is_the_configs_else_the_tokenizers(tiny_base: Path, tmp_path: Path) -> None:
    file = tiny_base / "tokenizer.json"
    assert pad_token_id(SimpleNamespace(pad_token_id=7), file) == 7
    assert pad_token_id(SimpleNamespace(pad_token_id=None), file) == 0
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": []}')
    with pytest.raises(JobFailure, match="padding"):
        pad_token_id(SimpleNamespace(pad_token_id=None), tmp_path / "tokenizer.json")
