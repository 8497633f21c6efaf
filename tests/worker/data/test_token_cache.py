"""Texts as ids from one attempt to the next: read back when nothing differs, made anew when anything does."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.schemas.hyperparameters import Hyperparameters
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.worker.data.test_prepare import SPLITS, replace_vocabulary
from tests.worker.data.test_resolve import MODEL
from tests.worker.toy_task import LABELS, write_rows
from worker.data.encode import recut, tokenize
from worker.data.prepare import Prepared, prepare
from worker.data.rows import read_rows
from worker.data.token_cache import DIGEST_BYTES, MOST_SECONDS, SCRATCH_SECONDS, TokenCache, Tokens, sweep
from worker.events import Interrupted

TEXTS = ["so glad today", "", "how sad", "glad " * 40, "calm " * 7]
WHOLE = TokenizerSettings(max_length=16, pad_token_id=0)


def nothing() -> None:
    """Let it go on."""


def no_more() -> None:
    """Be called when texts are tokenized."""
    raise Interrupted


def encoder_of(base: Path, settings: TokenizerSettings = WHOLE) -> TextEncoder:
    return TextEncoder.from_files(base / "tokenizer.json", settings, TextOptions())


def cache_of(base: Path, folder: Path, options: TextOptions | None = None, **limits: int) -> TokenCache:
    return TokenCache(folder, (base / "tokenizer.json").read_bytes(), options or TextOptions(), **limits)


def same(one: Tokens, other: Tokens) -> bool:
    names = ("tokens", "starts", "lengths", "cut")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def attempt(folder: Path, base: Path, check: Callable[[], None], **wishes: object) -> Prepared:
    rows = read_rows(write_rows(folder / "rows.jsonl", SPLITS), LABELS)
    return prepare(
        rows,
        LABELS,
        tokenizer=base / "tokenizer.json",
        text=TextOptions(),
        wishes=Hyperparameters.model_validate(wishes),
        model=replace_vocabulary(MODEL),
        check=check,
        cache_dir=folder / "tokens",
    )


@pytest.mark.parametrize("wishes", [{}, {"max_length": 8}, {"max_length": 8, "long_text": "head_tail"}])
def test_the_next_attempt_tokenizes_nothing(tmp_path: Path, tiny_base: Path, wishes: dict[str, object]) -> None:
    first = attempt(tmp_path, tiny_base, nothing, **wishes)
    second = attempt(tmp_path, tiny_base, no_more, **wishes)
    assert second.resolutions == first.resolutions
    assert second.validation is not None
    assert first.validation is not None
    for one, other in ((first.train, second.train), (first.validation, second.validation)):
        rows = np.arange(len(one))
        assert all(map(np.array_equal, one.ids(rows), other.ids(rows)))


def test_without_a_cache_each_attempt_tokenizes(tmp_path: Path, tiny_base: Path) -> None:
    attempt(tmp_path, tiny_base, nothing)
    for file in (tmp_path / "tokens").iterdir():
        file.unlink()
    with pytest.raises(Interrupted):
        attempt(tmp_path, tiny_base, no_more)


@pytest.mark.parametrize(
    "settings",
    [
        TokenizerSettings(max_length=8, pad_token_id=0),
        TokenizerSettings(max_length=8, pad_token_id=0, long_text="head_tail"),
        TokenizerSettings(max_length=8, pad_token_id=0, long_text="error"),
        TokenizerSettings(max_length=16, pad_token_id=0, long_text="head_tail"),
        TokenizerSettings(max_length=16, pad_token_id=0),
    ],
)
def test_cutting_again_gives_what_tokenizing_would(tiny_base: Path, settings: TokenizerSettings) -> None:
    made = tokenize(TEXTS, encoder_of(tiny_base), check=nothing)
    chosen = encoder_of(tiny_base, settings)
    assert same(recut(made, TEXTS, chosen, check=nothing), tokenize(TEXTS, chosen, check=nothing))


def test_whatever_decides_the_ids_makes_another_entry(tmp_path: Path, tiny_base: Path) -> None:
    cache = cache_of(tiny_base, tmp_path)
    files = [
        cache.file_of(TEXTS, WHOLE),
        cache.file_of(TEXTS[::-1], WHOLE),
        cache.file_of(["so gladtoday", *TEXTS[1:]], WHOLE),
        cache.file_of(TEXTS, WHOLE.model_copy(update={"max_length": 15})),
        cache.file_of(TEXTS, WHOLE.model_copy(update={"long_text": "head_tail"})),
        cache_of(tiny_base, tmp_path, TextOptions(lowercase=True)).file_of(TEXTS, WHOLE),
        TokenCache(tmp_path, b"{}", TextOptions()).file_of(TEXTS, WHOLE),
        cache.file_of(["ab", "c"], WHOLE),
        cache.file_of(["a", "bc"], WHOLE),
    ]
    assert len(set(files)) == len(files)
    assert cache.file_of(list(TEXTS), WHOLE) == files[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[: DIGEST_BYTES + 200] + b"\x07" + content[DIGEST_BYTES + 201 :],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    ],
)
def test_a_damaged_entry_is_made_anew(tmp_path: Path, tiny_base: Path, damage: Callable[[bytes], bytes]) -> None:
    cache, encoder = cache_of(tiny_base, tmp_path), encoder_of(tiny_base)
    right = tokenize(TEXTS, encoder, check=nothing, cache=cache)
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert file.read_bytes() != content
    assert same(tokenize(TEXTS, encoder, check=nothing, cache=cache), right)
    assert same(tokenize(TEXTS, encoder, check=no_more, cache=cache), right)


def test_an_entry_of_another_number_of_texts_is_not_taken(tmp_path: Path, tiny_base: Path) -> None:
    cache, encoder = cache_of(tiny_base, tmp_path), encoder_of(tiny_base)
    made = tokenize(TEXTS, encoder, check=nothing)
    cache.keep(cache.file_of(TEXTS[:3], WHOLE), made)
    assert len(tokenize(TEXTS[:3], encoder, check=nothing, cache=cache).lengths) == 3


def test_only_the_worker_can_read_the_entries(tmp_path: Path, tiny_base: Path) -> None:
    tokenize(TEXTS, encoder_of(tiny_base), check=nothing, cache=cache_of(tiny_base, tmp_path / "new"))
    [file] = (tmp_path / "new").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_was_not_used_for_the_longest_time_makes_room(tmp_path: Path, tiny_base: Path) -> None:
    encoder, now = encoder_of(tiny_base), time.time()
    for age, texts in ((300, TEXTS), (200, TEXTS[:3]), (100, TEXTS[:2])):
        cache = cache_of(tiny_base, tmp_path)
        tokenize(texts, encoder, check=nothing, cache=cache)
        file = cache.file_of(texts, WHOLE)
        assert file is not None
        os.utime(file, (now - age, now - age))
    tokenize(TEXTS, encoder, check=no_more, cache=cache_of(tiny_base, tmp_path))  # the oldest, used again
    room = sum(file.stat().st_size for file in tmp_path.iterdir())
    tight = cache_of(tiny_base, tmp_path, most_bytes=room)
    tokenize(TEXTS[:1], encoder, check=nothing, cache=tight)
    left = {file.name for file in tmp_path.iterdir()}
    kept = [tight.file_of(texts, WHOLE) for texts in (TEXTS, TEXTS[:2], TEXTS[:1])]
    assert left == {file.name for file in kept if file is not None}


def test_what_nobody_used_for_long_goes(tmp_path: Path, tiny_base: Path) -> None:
    tokenize(TEXTS, encoder_of(tiny_base), check=nothing, cache=cache_of(tiny_base, tmp_path))
    [entry] = tmp_path.iterdir()
    abandoned, fresh = tmp_path / ".abandoned.1", tmp_path / ".fresh.2"
    for file, age in ((abandoned, SCRATCH_SECONDS + 60), (fresh, 60), (entry, MOST_SECONDS + 60)):
        file.touch()
        os.utime(file, (time.time() - age, time.time() - age))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_folder_that_takes_nothing_costs_no_job(tmp_path: Path, tiny_base: Path) -> None:
    obstacle = tmp_path / "file"
    obstacle.write_text("in the way")
    cache = cache_of(tiny_base, obstacle / "tokens")
    made = tokenize(TEXTS, encoder_of(tiny_base), check=nothing, cache=cache)
    assert same(made, tokenize(TEXTS, encoder_of(tiny_base), check=nothing))


def test_more_than_there_is_room_for_is_not_kept(tmp_path: Path, tiny_base: Path) -> None:
    tokenize(TEXTS, encoder_of(tiny_base), check=nothing, cache=cache_of(tiny_base, tmp_path, most_bytes=10))
    assert list(tmp_path.iterdir()) == []
