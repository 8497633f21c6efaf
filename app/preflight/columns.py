"""Finds the text, label and split columns of a table, or says which columns there are and which was probably meant."""

from dataclasses import dataclass

from app.errors import AppError, DatasetRefused, FieldError, nearest
from app.preflight.tables.delimited import malformed_csv
from app.preflight.tables.table import Table, shown
from app.schemas.datasets import DatasetOptions

_LONGEST_NAME = 64


@dataclass(frozen=True)
class Columns:
    """The names to read; ``split`` is None when the table has no such column."""

    text: str
    label: str
    split: str | None
    label_delimiter: str | None = None
    """What parts the labels of a row from each other, where it may have several."""


def choose(table: Table, options: DatasetOptions) -> Columns:
    """Match the options with the table; raises DatasetRefused ``unknown-column`` or ``malformed-csv``."""
    wanted = {"text_column": options.text_column, "label_column": options.label_column}
    if options.split_column is not None:
        wanted["split_column"] = options.split_column
    if options.difficulty_column is not None:
        wanted["difficulty_column"] = options.difficulty_column
    wanted |= {f"slice_columns/{index}": name for index, name in enumerate(options.slice_columns)}
    missing = {option: name for option, name in wanted.items() if name not in table.columns}
    if missing:
        raise _unknown(table, missing)
    if options.text_column == options.label_column:
        raise DatasetRefused(
            "text_column and label_column name the same column.",
            code="invalid-value",
            remedy="Name two different columns.",
            errors=(FieldError("/label_column", "cross-field", "must differ from text_column"),),
        )
    split = options.split_column or ("split" if "split" in table.columns else None)
    return Columns(options.text_column, options.label_column, split, options.label_delimiter)


def _unknown(table: Table, missing: dict[str, str]) -> AppError:
    if not table.columns:
        return DatasetRefused("The file has no rows.", code="empty-dataset", remedy="Send at least a few rows a label.")
    if not table.typed and {"text_column", "label_column"} <= set(missing) and _looks_like_data(table.columns):
        return malformed_csv(1, "no-header", "is a row of data: the file has no header")
    present = shown(table.columns)
    errors = tuple(_field_error(option, name, table.columns) for option, name in missing.items())
    hints = [error.remedy for error in errors if error.remedy]
    plural = "columns" if len(missing) > 1 else "column"
    return DatasetRefused(
        f"The file has no {plural} {' and '.join(shown(missing.values()))}; it has {', '.join(present)}.",
        code="unknown-column",
        remedy=" ".join(hints) or "Set text_column and label_column to columns of the file.",
        errors=errors,
        extra={"columns": present},
    )


def _field_error(option: str, name: str, columns: list[str]) -> FieldError:
    lowered = {column.lower().strip(): column for column in columns}
    near = lowered.get(name.lower()) or nearest(name[:_LONGEST_NAME], [c for c in columns if len(c) <= _LONGEST_NAME])
    remedy = f"Did you mean {option.partition('/')[0]}={near}?" if near else None
    return FieldError(f"/{option}", "unknown-column", "names no column of the file", shown(columns), remedy)


def _looks_like_data(columns: list[str]) -> bool:
    return any(_is_number(name) or len(name) > _LONGEST_NAME or len(name.split()) > 4 for name in columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
