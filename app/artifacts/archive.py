"""A zip that is written while it is read: any size in little memory, and the same bytes every time."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.artifacts.bundle import damaged

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file: the earliest that a zip can hold, since real ones would change the archive's hash."""
_LARGE = 2**31 - 1
_LOCAL, _DESCRIPTOR, _CENTRAL, _END = 30, 16, 46, 22
"""Bytes that a zip spends on a file before its content, behind it, in the list at the end, and on the end itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive."""

    name: str
    size: int
    read: Callable[[], Iterable[bytes]]
    sha256: str | None = None
    """What its content must be; None: whatever it is."""


def size_of(entries: Sequence[Entry]) -> int | None:
    """Give the size of the archive in bytes, None where it is so large that other rules hold."""
    total = _END
    for entry in entries:
        name = len(entry.name.encode())
        total += _LOCAL + name + entry.size + _DESCRIPTOR + _CENTRAL + name
    return total if total < _LARGE else None


def write(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Give the archive piece by piece.

    Nothing is compressed: weights are noise to a compressor. Raises JobFailure ``damaged-bundle`` in the middle of the
    archive, which ends it unfinished, when a file is not what its manifest says.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, strict_timestamps=True) as archive:
        for entry in entries:
            yield from _file(archive, sink, entry)
    yield sink.take()


def _file(archive: zipfile.ZipFile, sink: "_Sink", entry: Entry) -> Iterator[bytes]:
    info = zipfile.ZipInfo(entry.name, EPOCH)
    info.create_system, info.external_attr = 3, 0o644 << 16
    digest, size = hashlib.sha256(), 0
    with archive.open(info, "w", force_zip64=entry.size >= _LARGE) as file:
        for block in entry.read():
            digest.update(block)
            size += len(block)
            file.write(block)
            yield sink.take()
        if size != entry.size or entry.sha256 not in (None, digest.hexdigest()):
            raise damaged(entry.name, "it is not what its manifest says")


class _Sink(io.RawIOBase):
    """Holds what was written until it is taken; it cannot seek, so that the zip is written from front to back."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Keep a block."""
        self._blocks.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Give and forget what was written."""
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)
