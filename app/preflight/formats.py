"""Tells what a file is by its content, never by its name; what is not a table is refused and never interpreted."""

import codecs
import json
import re
from pathlib import Path

from app.errors import DatasetRefused
from app.schemas.datasets import FileFormat

_HEAD = 64 * 1024
_CHUNK = 1024 * 1024

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive (or an Office file)"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb"BZh", "a bzip2 file"),
    (rb"\xfd7zXZ\x00", "an xz file"),
    (rb"\x28\xb5\x2f\xfd", "a zstandard file"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"\x7fELF", "a program"),
    (rb"MZ[\x00-\xff]{50,}PE\x00\x00", "a program"),
    (rb"\x80[\x02-\x05][\x00-\xff]", "a pickle"),
    (rb"(\((dp|lp|i)|c[a-z_.]+\n\w+\n)", "a pickle"),
    (rb"%PDF-", "a PDF"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "an image"),
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"\x89HDF\r\n", "an HDF5 file"),
    (rb"\xd0\xcf\x11\xe0", "an old Office file"),
    (rb"ARROW1\x00\x00", "an Arrow IPC file"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\s*<(!doctype|html|head|body|script|\?xml|svg)", "HTML or XML"),
)


def detect(path: Path, declared: FileFormat | None) -> FileFormat:
    """Name the format of ``path``; ``declared`` settles what content alone leaves open.

    Raises DatasetRefused ``unsupported-file-type``, ``empty-dataset`` or ``format-mismatch``.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise DatasetRefused("The file is empty.", code="empty-dataset", remedy="Send a file with a header and rows.")
    _refuse_foreign(head)
    is_parquet = head.startswith(b"PAR1")
    if declared is not None and is_parquet != (declared == "parquet"):
        raise DatasetRefused(
            f"The file was declared as {declared}, but its content is {'' if is_parquet else 'not '}Parquet.",
            code="format-mismatch",
            remedy="Leave format out: it is told from the content.",
        )
    if declared is not None:
        return declared
    return "parquet" if is_parquet else _text_format(head)


def check_encoding(path: Path) -> None:
    """Refuse what is not UTF-8 (a byte order mark is fine); raises DatasetRefused ``invalid-encoding``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = 0
    with path.open("rb") as file:
        start = file.read(4096)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start.count(b"\0") * 3 > len(start):
            raise _not_utf8(0, " The file looks like UTF-16.")
        file.seek(0)
        while chunk := file.read(_CHUNK):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise _not_utf8(seen - pending + error.start, "") from None
            seen += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_utf8(seen, " The file ends inside a character.") from None


def _not_utf8(offset: int, more: str) -> DatasetRefused:
    return DatasetRefused(
        f"The file is not UTF-8: the byte at offset {offset} cannot be decoded.{more}",
        code="invalid-encoding",
        remedy="Save it as UTF-8, for instance with: iconv -f LATIN1 -t UTF-8 old.csv > new.csv",
        extra={"byte_offset": offset},
    )


def _refuse_foreign(head: bytes) -> None:
    for pattern, kind in _FOREIGN:
        if re.match(pattern, head, re.IGNORECASE if b"<" in pattern else 0):
            raise DatasetRefused(
                f"The content is {kind}, not a table of texts and labels.",
                code="unsupported-file-type",
                remedy="Send CSV, TSV, JSON, JSON Lines or Parquet, not compressed and not in an archive.",
            )


def _text_format(head: bytes) -> FileFormat:
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        return "jsonl" if _is_json_lines(text) else "json"
    first_line = text.split(b"\n", 1)[0]
    return "tsv" if first_line.count(b"\t") > first_line.count(b",") else "csv"


def _is_json_lines(text: bytes) -> bool:
    """One object a line is JSON Lines; one object that holds lists of rows is JSON."""
    first, _, rest = text.partition(b"\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # A row longer than what was read looks like this too, but then it does not end in a line break.
        return not rest and len(text) > _HEAD // 2
    return bool(rest.strip()) or not any(isinstance(item, list) for item in value.values())
