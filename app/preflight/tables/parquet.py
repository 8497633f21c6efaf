"""Reads string and integer columns of a Parquet file, and lists of these; anything else is refused.

The only module of the app that imports pyarrow, and it runs only in the parsing process.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import DatasetRefused
from app.preflight.tables.table import Row, Table, shown


def read_parquet(path: Path, wanted: list[str]) -> Table:
    """Open Parquet and read only the ``wanted`` columns.

    Raises DatasetRefused ``malformed-parquet`` or ``unsupported-column-type``.
    """
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError):
        raise _malformed_parquet() from None
    present = [name for name in wanted if name in schema.names]
    types = {name: _plain_type(schema.field(name).type) for name in present}
    for name, kind in types.items():
        if kind == "other":
            raise DatasetRefused(
                f"The column {shown([name])[0]} has the type {schema.field(name).type}.",
                code="unsupported-column-type",
                remedy="Texts are strings; labels are strings or integers.",
            )
    return Table(list(schema.names), _parquet_rows(file, present), unit="row", typed=True, types=types)


def _plain_type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "list" if _plain_type(kind.value_type) in {"string", "integer"} else "other"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "float" if pa.types.is_floating(kind) else "other"


def _parquet_rows(file: pq.ParquetFile, columns: list[str]) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=4096, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise _malformed_parquet() from None


def _malformed_parquet() -> DatasetRefused:
    return DatasetRefused(
        "The file begins like Parquet but cannot be read.",
        code="malformed-parquet",
        remedy="Write it again, for instance with pyarrow or pandas, and check that the upload was complete.",
    )
