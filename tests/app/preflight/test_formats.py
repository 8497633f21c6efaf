"""Files are told by content; what is no table is refused whatever it calls itself."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from app.errors import DatasetRefused
from app.preflight.formats import check_encoding, detect
from app.schemas.datasets import FileFormat


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("../../evil.txt", "x")
    return buffer.getvalue()


FOREIGN = {
    "zip": archive(),
    "gzip": gzip.compress(b"text,label\n"),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
    "pickle 4": b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x04text\x94\x8c\x01a\x94s.",
    "pickle 2": b"\x80\x02]q\x00X\x01\x00\x00\x00aq\x01a.",
    "pickle 0": b"(dp0\nVtext\np1\nVa\np2\ns.",
    "pickle 0 that calls": b"cos\nsystem\n(S'true'\ntR.",
    "html": b"\n <!DOCTYPE html><html></html>",
    "html in capitals": b"<HTML><body>",
    "xml": b"<?xml version='1.0'?><a/>",
    "pdf": b"%PDF-1.7 ",
    "png": b"\x89PNG\r\n\x1a\n",
    "sqlite": b"SQLite format 3\x00",
    "arrow": b"ARROW1\x00\x00",
}


def save(folder: Path, content: bytes) -> Path:
    path = folder / "upload"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("declared", [None, "csv", "parquet"])
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_refuses_foreign_files(tmp_path: Path, content: bytes, declared: FileFormat | None) -> None:
    with pytest.raises(DatasetRefused) as caught:
        detect(save(tmp_path, content), declared)
    assert caught.value.code == "unsupported-file-type"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"text,label\na,b\n", "csv"),
        (b"\xef\xbb\xbftext,label\na,b\n", "csv"),
        (b"text\tlabel\na\tb\n", "tsv"),
        (b'[{"text": "a"}]', "json"),
        (b'\xef\xbb\xbf [{"text": "a"}]', "json"),
        (b'{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', "jsonl"),
        (b'{"text": "a", "label": 1}', "jsonl"),
        (b'{"rows": [{"text": "a"}]}', "json"),
        (b'{\n "train": [\n {"text": "a"}]}', "json"),
        (b'{"text": "a" "label": 1}\n{"text": "b"}\n', "json"),
        (b'{"text": "' + b"x" * 100_000 + b'"}\n', "jsonl"),
        (b"PAR1....PAR1", "parquet"),
    ],
)
def test_tells_the_format(tmp_path: Path, content: bytes, expected: str) -> None:
    assert detect(save(tmp_path, content), None) == expected


def test_a_declared_format_settles_what_is_open(tmp_path: Path) -> None:
    assert detect(save(tmp_path, b"[text],label\na,b\n"), "csv") == "csv"


@pytest.mark.parametrize(("content", "declared"), [(b"PAR1....PAR1", "csv"), (b"text,label\n", "parquet")])
def test_a_declared_format_cannot_lie_about_parquet(tmp_path: Path, content: bytes, declared: FileFormat) -> None:
    with pytest.raises(DatasetRefused) as caught:
        detect(save(tmp_path, content), declared)
    assert caught.value.code == "format-mismatch"


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_empty(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DatasetRefused) as caught:
        detect(save(tmp_path, content), None)
    assert caught.value.code == "empty-dataset"


@pytest.mark.parametrize(
    ("content", "offset"),
    [
        ("text,label\ncafé,a\n".encode("latin-1"), 14),
        (b"a" * 2_000_000 + b"\xff", 2_000_000),
        (b"a" * (1024 * 1024 - 1) + "é".encode() + b"\xc3(", 1024 * 1024 + 1),
        ("text,label\n".encode("utf-16"), 0),
        ("text,label\n".encode("utf-16-le"), 0),
        (b"text,label\na,\xc3", 13),
    ],
)
def test_finds_the_byte_that_is_not_utf8(tmp_path: Path, content: bytes, offset: int) -> None:
    with pytest.raises(DatasetRefused) as caught:
        check_encoding(save(tmp_path, content))
    assert caught.value.code == "invalid-encoding"
    assert abs(caught.value.extra["byte_offset"] - offset) <= 1


def test_utf8_across_blocks_is_fine(tmp_path: Path) -> None:
    check_encoding(save(tmp_path, b"\xef\xbb\xbf" + b"a" * (1024 * 1024 - 4) + "é😀".encode()))
