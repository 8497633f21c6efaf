"""Reads JSON Lines line by line, and JSON whole: a list of objects, or such lists by split name."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from app.errors import AppError, DatasetRefused
from app.preflight import strict_json
from app.preflight.tables.table import BadLines, Row, Table

_LONGEST_LINE = 64 * 1024 * 1024
SPLIT_LISTS = ("train", "validation", "test")


def read_json_lines(path: Path) -> Table:
    """Open JSON Lines; raises DatasetRefused ``malformed-jsonl`` while rows are read."""
    rows = _json_line_rows(path)
    first = next(rows, None)
    if first is None:
        return Table([], iter(()), typed=True)
    return Table(list(first[1]), chain([first], rows), typed=True)


def _json_line_rows(path: Path) -> Iterator[tuple[int, Row]]:
    bad = BadLines("malformed-jsonl", "JSON Lines file", "Write one JSON object a line.")
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            if not line.strip():
                continue
            try:
                value = strict_json.parse(line.removeprefix(b"\xef\xbb\xbf").strip())
            except AppError as error:
                bad.add(number, error.code, _lower(error.detail))
                continue
            if not isinstance(value, dict):
                bad.add(number, "not-an-object", "is not a JSON object")
            elif not bad.total:
                yield number, value
    bad.refuse_if_any()


def _lower(sentence: str) -> str:
    """Fit a sentence of ours behind 'line 3, which'."""
    detail = sentence.rstrip(".").replace(" at line 1, column ", " at column ")
    about_body = detail.startswith("The body ")
    return detail.removeprefix("The body ") if about_body else f"is refused: {detail}"


def load_json(path: Path) -> Any:
    """Parse a whole file; raises DatasetRefused ``malformed-json``."""
    try:
        return strict_json.parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except AppError as error:
        raise DatasetRefused(
            error.detail.replace("The body", "The file"), code=error.code, remedy="Send a JSON list of objects."
        ) from None


def table_of(value: Any) -> Table:
    """Make a table of parsed JSON: a list of objects, or an object of such lists by split name."""
    lists = value.items() if isinstance(value, dict) else [(None, value)]
    rows: list[tuple[int, Row]] = []
    for name, items in lists:
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _not_rows()
        with_split = {} if name is None else {"split": name}
        rows += [(number, with_split | item) for number, item in enumerate(items, start=len(rows) + 1)]
    return Table(list(rows[0][1]) if rows else [], iter(rows), unit="row", typed=True)


def _not_rows() -> DatasetRefused:
    return DatasetRefused(
        "The JSON is not a list of objects.",
        code="malformed-json",
        remedy='Send [{"text": "...", "label": "..."}, ...] or {"train": [...], "validation": [...], "test": [...]}.',
    )
