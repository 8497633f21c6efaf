"""Reads a table for its texts alone, as a batch prediction needs them: the rules for texts are those of datasets."""

import hashlib
import json
from pathlib import Path

from app.errors import DatasetRefused, FieldError, PayloadTooLarge, nearest
from app.preflight.breaches import Breaches, BrokenRule
from app.preflight.messages import ROWS, Limits, Texts
from app.preflight.rows import text_of
from app.preflight.tables.table import Table, shown


def write_texts(table: Table, column: str, limits: Limits, folder: Path) -> Texts:
    """Write ``{"text": ...}`` of every row to ``folder/rows.jsonl``, in their order.

    Raises DatasetRefused with counts and places when rows break a rule, PayloadTooLarge when there are too many.
    """
    if column not in table.columns:
        raise _unknown(column, table.columns)
    breaches = Breaches(table.unit, {"text": column, "label": "", "split": None})
    digest, size, rows = hashlib.sha256(), 0, 0
    with (folder / ROWS).open("wb") as out:
        for place, row in table.rows:
            rows += 1
            if rows > limits.max_rows:
                raise _too_many(limits.max_rows)
            try:
                text = text_of(row.get(column), limits.max_text_chars)
            except BrokenRule as broken:
                breaches.add(broken.rule, place)
                continue
            line = f'{{"text":{json.dumps(text, ensure_ascii=False)}}}\n'.encode()
            digest.update(line)
            size += out.write(line)
    breaches.refuse_if_any()
    if not rows:
        raise DatasetRefused("The file has no rows.", code="empty-dataset", remedy="Send at least one row.")
    return Texts(rows=rows, bytes=size, sha256=digest.hexdigest())


def _unknown(column: str, columns: list[str]) -> DatasetRefused:
    near = nearest(column, columns)
    present = shown(columns)
    remedy = f"Did you mean {shown([near])[0]}?" if near else "Set text_column to a column of the file."
    return DatasetRefused(
        f"The file has no column {shown([column])[0]}; it has {', '.join(present) or 'none'}.",
        code="unknown-column",
        remedy=remedy,
        errors=(FieldError("/text_column", "unknown-column", "is not a column of the file", present, remedy),),
        extra={"columns": present},
    )


def _too_many(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The file has more than {most} rows.",
        code="dataset-too-large",
        remedy="Send it in parts, or raise TUNESMITH_MAX_DATASET_ROWS.",
    )
