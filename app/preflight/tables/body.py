"""A small dataset sent in a JSON body: its rows and, beside them, how to read them."""

from collections.abc import Iterable
from typing import Any

from app.errors import FieldError
from app.preflight import fields
from app.preflight.tables.json_rows import table_of
from app.preflight.tables.table import Table
from app.schemas.datasets import DatasetOptions, DatasetRow, DatasetRows

_COLUMNS = (("text_column", "text"), ("label_column", "label"), ("split_column", "split"), ("difficulty_column", ""))


def read_body(value: dict[str, Any], asked: DatasetOptions) -> tuple[Table, DatasetOptions]:
    """Take rows and options out of a body; options it leaves out are as ``asked``.

    Raises Unprocessable for unknown fields, of the body and of its rows: a file may have more columns than we read,
    but who writes a body means every field in it.
    """
    if "rows" not in value:
        raise fields.explain(DatasetRows, [{"type": "missing", "loc": ("rows",)}], value)
    given = {key: item for key, item in value.items() if key != "rows"}
    options = fields.validate(DatasetOptions, asked.model_dump(exclude_unset=True) | given)
    if isinstance(value["rows"], list):
        _refuse_unknown(value["rows"], _names(options))
    return table_of(value["rows"]), options


def _names(options: DatasetOptions) -> set[str]:
    return {getattr(options, option) or default for option, default in _COLUMNS} | set(options.slice_columns)


def _refuse_unknown(rows: Iterable[Any], known: set[str]) -> None:
    for index, row in enumerate(rows):
        unknown = row.keys() - known if isinstance(row, dict) else ()
        if unknown:
            finding = {"type": "extra_forbidden", "loc": (min(unknown),)}
            error = fields.explain(DatasetRow, [finding], row).errors[0]
            raise fields.problem(
                [FieldError(f"/rows/{index}{error.pointer}", error.rule, error.detail, error.allowed, error.remedy)]
            )
