"""The parsing process: ``python -m app.preflight.parse FOLDER`` reads FOLDER/upload and writes the canonical rows.

It runs confined and without secrets, because it reads bytes that strangers sent.
"""

import errno
import gc
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.errors import AppError, DatasetRefused, FieldError, StorageFull
from app.preflight import columns, confinement, formats, labels, profile, rows, split
from app.preflight.difficulties import Difficulties
from app.preflight.label_sets import LabelSets
from app.preflight.messages import ORDER, OUTCOME, ROWS, UPLOAD, Accepted, Limits, Order, Outcome, Refused, Texts
from app.preflight.slices import Slices
from app.preflight.tables.body import read_body
from app.preflight.tables.delimited import read_delimited
from app.preflight.tables.json_rows import SPLIT_LISTS, load_json, read_json_lines, table_of
from app.preflight.tables.table import Table
from app.preflight.texts import write_texts
from app.schemas.datasets import DatasetOptions, FileFormat

CPU_SECONDS = 120
_FILE_BYTES = 4 * 1024**3


def main(folder: Path) -> None:
    """Parse the upload of ``folder`` and write the outcome beside it."""
    order = Order.model_validate_json((folder / ORDER).read_bytes(), strict=False)
    confinement.confine(memory_bytes=order.limits.memory_bytes, cpu_seconds=CPU_SECONDS, file_bytes=_FILE_BYTES)
    gc.disable()  # it would walk millions of rows again and again, and this process soon ends anyway
    outcome: Accepted | Texts | Refused
    try:
        outcome = parse_texts(folder, order) if order.only_texts else parse(folder, order)
    except AppError as error:
        outcome = Refused.of(error)
    except (MemoryError, RecursionError):
        outcome = Refused.of(_too_hungry(order.limits.memory_bytes))
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        outcome = Refused.of(_disk_full())
    (folder / OUTCOME).write_text(Outcome(outcome=outcome).model_dump_json(), encoding="utf-8")


def parse(folder: Path, order: Order) -> Accepted:
    """Read, check, split and write; raises AppError for whatever the sender can mend."""
    limits = order.limits
    table, options, file_format = _open(folder / UPLOAD, order.options, limits)
    chosen = columns.choose(table, options)
    texts = folder / "texts"
    difficulties = Difficulties(options.difficulty_column, table.unit)
    slices = Slices(options.slice_columns, table.unit)
    watched = slices.beside(difficulties.beside(table))
    examples = rows.collect(watched, chosen, limits, seed=options.split.seed, texts=texts)
    difficulties.refuse_if_any()
    slices.refuse_if_any()
    if len(np.unique(examples.digest)) == 1:
        raise _one_text(len(examples))
    named = labels.name_labels(examples.keys, options.label_names)
    sets = LabelSets.of(examples, named.class_of_key)
    splits = split.assign(examples, sets.strata(), options.split)
    classes = len(named.names)
    labels.refuse_poor(named.names, sets.counts(classes), sets.counts(classes, splits == split.TRAIN))
    fields = map("".join, zip(_label_fields(named.names, sets), difficulties.fields(), slices.fields(), strict=False))
    sha256, size = _write(folder / ROWS, texts, fields, splits)
    described = profile.describe(examples, named.names, sets, splits)
    described.has_difficulties = options.difficulty_column is not None
    described.slices = slices.counts()
    described.warnings = [*named.warnings, *described.warnings]
    return Accepted(
        name=options.name,
        format="rows" if file_format is None else file_format,
        sha256=sha256,
        bytes=size,
        profile=described,
    )


def parse_texts(folder: Path, order: Order) -> Texts:
    """Read, check and write the texts alone."""
    table, options, _ = _open(folder / UPLOAD, order.options, order.limits)
    return write_texts(table, options.text_column, order.limits, folder)


def _open(path: Path, options: DatasetOptions, limits: Limits) -> tuple[Table, DatasetOptions, FileFormat | None]:
    """Open the upload; the format is None for a JSON object with ``rows``, which brings its own options."""
    file_format = formats.detect(path, options.format)
    if file_format == "parquet":
        return _open_parquet(path, options), options, file_format
    formats.check_encoding(path)
    if file_format == "json":
        value = load_json(path)
        if isinstance(value, dict) and not set(value) <= set(SPLIT_LISTS):
            return *read_body(value, options), None
        return table_of(value), options, file_format
    if file_format == "jsonl":
        return read_json_lines(path), options, file_format
    delimiter = "\t" if file_format == "tsv" else None
    return read_delimited(path, delimiter, limits.max_text_chars), options, file_format


def _open_parquet(path: Path, options: DatasetOptions) -> Table:
    # Here and not above: pyarrow takes 0.2 s and 60 MB that the other formats do not need.
    from app.preflight.tables.parquet import read_parquet

    wanted = [options.text_column, options.label_column, options.split_column or "split"]
    wanted += [*([options.difficulty_column] if options.difficulty_column else []), *options.slice_columns]
    table = read_parquet(path, wanted)
    for column, kinds, code in (
        (options.text_column, {"string"}, "invalid-text"),
        (options.label_column, {"string", "integer", "list"}, "invalid-labels"),
    ):
        kind = table.types.get(column)
        if kind is not None and kind not in kinds:
            raise DatasetRefused(
                f"The column {column} is of the type {kind}; it must be {' or '.join(sorted(kinds))}.",
                code=code,
                remedy="Texts are strings; labels are strings or integers.",
                errors=(FieldError(f"/columns/{column}", f"{kind}-column", f"must be {' or '.join(sorted(kinds))}"),),
            )
    return table


def _label_fields(names: list[str], sets: LabelSets) -> Iterator[str]:
    """Write the part of each row that says its label, or its labels."""
    encoded = [json.dumps(name, ensure_ascii=False) for name in names]
    if not sets.several:
        fields = [f'"label":{name}' for name in encoded]
        yield from (fields[number] for number in sets.class_of.tolist())
        return
    for row in sets.as_lists():
        yield f'"labels":[{",".join(encoded[number] for number in row)}]'


def _write(path: Path, texts: Path, label_fields: Iterator[str], splits: npt.NDArray[np.int8]) -> tuple[str, int]:
    """Write the canonical rows; equal data gives equal bytes. Gives their sha256 and size."""
    digest, size = hashlib.sha256(), 0
    with texts.open(encoding="utf-8", newline="\n") as lines, path.open("wb") as out:
        for text, label, number in zip(lines, label_fields, splits.tolist(), strict=True):
            line = f'{{"text":{text[:-1]},{label},"split":"{rows.SPLITS[number]}"}}\n'.encode()
            digest.update(line)
            size += out.write(line)
    texts.unlink()
    return digest.hexdigest(), size


def _one_text(count: int) -> DatasetRefused:
    return DatasetRefused(
        "There is only one row." if count == 1 else f"All {count} rows have the same text.",
        code="too-few-examples",
        remedy="Send at least two rows a label." if count == 1 else "Is text_column the right column?",
        errors=(FieldError("/text_column", "one-text", "must have different values"),),
    )


def _too_hungry(memory_bytes: int) -> DatasetRefused:
    return DatasetRefused(
        f"Reading the file takes more than {memory_bytes // 1024**2} MiB of memory.",
        code="dataset-too-large",
        remedy="Send it as JSON Lines or CSV, which are read row by row, or send fewer rows.",
    )


def _disk_full() -> StorageFull:
    return StorageFull(
        "The disk that holds uploads is full.",
        code="storage-full",
        remedy="Free space on the disk of TUNESMITH_DATA_DIR; nothing half-written was left behind.",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
