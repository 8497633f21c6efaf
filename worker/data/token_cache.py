"""What texts became as ids, kept by the hash of all that decides it: repeated and resumed attempts read it back."""

import contextlib
import hashlib
import io
import os
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from app.schemas.text import TextOptions, TokenizerSettings

FORMAT = 1
"""To be raised whenever the same texts become other ids, or an entry has other arrays."""
MOST_BYTES = 1024**3
"""Of all entries together; the one that was not used for the longest time goes first."""
MOST_SECONDS = 7 * 24 * 3600.0
"""Entries that nobody used for so long go in any case: texts can be read from ids, and data must not stay for ever."""
SUFFIX = ".tokens"
DTYPES = ["int32", "int64", "int64", "bool"]
DIGEST_BYTES = hashlib.sha256().digest_size
SCRATCH_SECONDS = 3600.0
"""After which an unfinished file is one that its writer left behind."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as ids: all tokens in one flat array."""

    tokens: NDArray[np.int32]  # (all tokens,)
    starts: NDArray[np.int64]  # (texts + 1,)
    lengths: NDArray[np.int64]  # (texts,), before anything was cut off
    cut: NDArray[np.bool_]  # (texts,), whether the model sees less than all of it

    def fits(self, texts: int) -> bool:
        """Say whether the arrays can be those of so many texts."""
        return (
            [array.dtype.name for array in (self.tokens, self.starts, self.lengths, self.cut)] == DTYPES
            and self.starts.shape == (texts + 1,)
            and self.lengths.shape == self.cut.shape == (texts,)
            and self.tokens.shape == (int(self.starts[-1]),)
            and int(self.starts[0]) == 0
            and bool((np.diff(self.starts) >= 0).all())
            and int(self.tokens.min(initial=0)) >= 0
        )


class TokenCache:
    """A folder of entries that several workers may share.

    ``folder`` None: nothing is kept. A damaged or unwritable file costs tokenizing again, never the job.
    """

    def __init__(
        self, folder: Path | None, tokenizer: bytes, text: TextOptions, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        versions = f"{FORMAT} {tokenizers.__version__} {unicodedata.unidata_version}"
        self._base = hashlib.sha256(f"{versions}\n{text.model_dump_json()}\n".encode())
        self._base.update(hashlib.sha256(tokenizer).digest())

    def file_of(self, texts: Sequence[str], settings: TokenizerSettings) -> Path | None:
        """Name the entry of ``texts`` in this order, read with ``settings``; None where nothing is kept."""
        if self._folder is None:
            return None
        key = self._base.copy()
        key.update(settings.model_dump_json().encode())
        for text in texts:
            content = text.encode("utf-8", "surrogatepass")
            key.update(len(content).to_bytes(8, "little"))
            key.update(content)
        return self._folder / f"{key.hexdigest()}{SUFFIX}"

    def load(self, file: Path | None, texts: int) -> Tokens | None:
        """Read an entry; None when there is none of so many texts that is whole."""
        if file is None:
            return None
        try:
            content = file.read_bytes()
        except OSError:
            return None
        found = _unpacked(content)
        if found is None or not found.fits(texts):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
        return found

    def keep(self, file: Path | None, made: Tokens) -> None:
        """Write an entry whole or not at all, and make room for it."""
        size = made.tokens.nbytes + made.starts.nbytes + made.lengths.nbytes + made.cut.nbytes
        if file is None or size > self._most_bytes:
            return
        scratch = file.with_name(f".{file.stem}.{os.getpid()}")
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(scratch, "wb", opener=_private) as stream:
                stream.write(_packed(made))
            scratch.replace(file)
            sweep(file.parent, self._most_bytes)
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def sweep(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove what is too old, then what was not used for the longest time, until ``most_bytes`` are left."""
    now, left = time.time(), most_bytes
    for used, size, file in sorted(_entries(folder), reverse=True):
        left -= size
        too_old = now - used > (SCRATCH_SECONDS if file.suffix != SUFFIX else MOST_SECONDS)
        if too_old or (left < 0 and file.suffix == SUFFIX):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def _entries(folder: Path) -> list[tuple[float, int, Path]]:
    found = []
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another worker was tidying up too
            status = file.stat()
            found.append((status.st_mtime, status.st_size, file))
    return found


def _packed(made: Tokens) -> bytes:
    """Give the arrays as one file's content, their hash before them: one bit that fell over changes what is learned."""
    stream = io.BytesIO()
    np.savez(stream, tokens=made.tokens, starts=made.starts, lengths=made.lengths, cut=made.cut)
    content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> Tokens | None:
    digest, arrays = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(arrays).digest() != digest:
        return None
    with np.load(io.BytesIO(arrays), allow_pickle=False) as found:
        return Tokens(found["tokens"], found["starts"], found["lengths"], found["cut"])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
