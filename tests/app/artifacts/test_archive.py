"""Archives are whole zips of a known size, the same every time, and never pass off a damaged file as sound."""

import hashlib
import io
import zipfile
from collections.abc import Iterator

import pytest

from app.artifacts.archive import Entry, size_of, write
from app.errors import JobFailure


def entry(name: str, content: bytes, sha256: str | None = None) -> Entry:
    return Entry(name, len(content), lambda: [content[:3], content[3:]], sha256)


FILES = [entry("m-v1/README.md", b"read me"), entry("m-v1/größe.bin", bytes(range(256)) * 40), entry("empty", b"")]


def test_what_goes_in_comes_out() -> None:
    content = b"".join(write(FILES))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [file.name for file in FILES]
        assert archive.read("m-v1/größe.bin") == bytes(range(256)) * 40
        assert archive.getinfo("empty").external_attr >> 16 == 0o644


def test_the_size_is_known_before() -> None:
    assert size_of(FILES) == len(b"".join(write(FILES)))
    assert size_of([Entry("large", 2**31, list)]) is None


def test_the_same_files_are_the_same_bytes() -> None:
    assert b"".join(write(FILES)) == b"".join(write(FILES))


def test_nothing_is_read_ahead_and_little_is_held() -> None:
    given = 0

    def blocks() -> Iterator[bytes]:
        nonlocal given
        for _ in range(100):
            given += 1
            yield b"x" * 100_000

    sizes = []
    for piece in write([Entry("big", 10_000_000, blocks)]):
        sizes.append(len(piece))
        assert given <= len(sizes)
    assert max(sizes) < 101_000
    assert sum(sizes) > 10_000_000


@pytest.mark.parametrize(
    "file",
    [entry("a", b"content", hashlib.sha256(b"Content").hexdigest()), Entry("a", 3, lambda: [b"ab"])],
    ids=["another content", "too short"],
)
def test_a_damaged_file_ends_the_archive_unfinished(file: Entry) -> None:
    pieces: list[bytes] = []
    with pytest.raises(JobFailure) as caught:
        pieces.extend(write([file]))
    assert caught.value.code == "damaged-bundle"
    assert not zipfile.is_zipfile(io.BytesIO(b"".join(pieces)))
