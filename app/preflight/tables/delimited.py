"""Reads CSV and TSV: UTF-8, one header, every record as wide as it; ten bad lines are listed before it is refused."""

import csv
from collections.abc import Iterator
from pathlib import Path

from app.errors import DatasetRefused, FieldError
from app.preflight.tables.table import BadLines, Row, Table, shown

_LONGEST_LINE = 64 * 1024 * 1024


def read_delimited(path: Path, delimiter: str | None, longest_text: int) -> Table:
    """Open CSV or TSV; ``delimiter`` None: the commoner of comma and semicolon in the first line.

    Raises DatasetRefused ``malformed-csv`` or ``text-too-long``, for rows while they are read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(_LONGEST_LINE)
    if delimiter is None:
        delimiter = ";" if first.count(";") > first.count(",") else ","
    csv.field_size_limit(longest_text)
    records = _csv_records(path, delimiter)
    header = next(records, None)
    if header is None:
        raise malformed_csv(1, "no-header", "has no header")
    columns = [name.strip() for name in header[1]]
    named = [name for name in columns if name]
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise malformed_csv(1, "duplicate-column", f"names a column twice: {', '.join(shown(repeated))}")
    return Table(columns, _csv_rows(records, columns))


def malformed_csv(line: int, rule: str, detail: str) -> DatasetRefused:
    """Make the refusal of a file whose header is wrong."""
    return DatasetRefused(
        f"Line {line} {detail}.",
        code="malformed-csv",
        remedy="The first line names the columns, each once; one row follows a line.",
        errors=(FieldError(f"/lines/{line}", rule, detail),),
    )


def _csv_records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give every record with its first line; broken ones are collected and refused at the end."""
    bad = BadLines("malformed-csv", "CSV", "Mend the lines, or write the file with a CSV library.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        width: int | None = None
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader, None)
            except csv.Error as error:
                _add_csv_error(bad, line, str(error))
                continue
            if record is None:
                break
            if not record:
                continue
            width = len(record) if width is None else width
            if len(record) != width:
                bad.add(line, "ragged-row", f"has {len(record)} fields where the header has {width}")
            elif any("\0" in value for value in record):
                bad.add(line, "nul-character", "holds a NUL character")
            elif not bad.total:
                yield line, record
    bad.refuse_if_any()


def _add_csv_error(bad: BadLines, line: int, message: str) -> None:
    if "field limit" in message:
        raise DatasetRefused(
            f"The record that begins on line {line} has a field longer than {csv.field_size_limit()} characters.",
            code="text-too-long",
            remedy="Shorten it or raise TUNESMITH_MAX_TEXT_CHARS; or is a quote in that line never closed?",
            errors=(FieldError(f"/lines/{line}", "text-too-long", "has a field that is too long"),),
        )
    rule = "unclosed-quote" if "end of data" in message else "broken-quoting"
    bad.add(line, rule, "has a quote that is never closed" if rule == "unclosed-quote" else "has misplaced quotes")


def _csv_rows(records: Iterator[tuple[int, list[str]]], columns: list[str]) -> Iterator[tuple[int, Row]]:
    for line, record in records:
        yield line, dict(zip(columns, record, strict=True))
