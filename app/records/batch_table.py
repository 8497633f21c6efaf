"""Answers of a batch as a table: CSV that a spreadsheet opens without running anything."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from app.schemas.batches import BatchColumns

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LINES = 1000


def as_csv(blocks: Iterable[bytes], columns: BatchColumns, *, scores: bool, judged: bool = False) -> Iterator[bytes]:
    """Turn JSON Lines into CSV, piece by piece.

    ``scores`` says whether the answers have them, ``judged`` whether they stand beside what was expected.
    """
    columns = columns.model_copy(update={"tasks": []}) if judged else columns
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\r\n")
    table.writerow([harmless(name) for name in _header(columns, scores=scores, judged=judged)])
    for number, line in enumerate(_lines(blocks), start=1):
        table.writerow([harmless(cell) for cell in _cells(json.loads(line), columns, scores=scores, judged=judged)])
        if number % _LINES == 0:
            yield _taken(sink)
    yield _taken(sink)


def harmless(cell: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would take for a formula; numbers stay as they are."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_FORMULA) else cell


def _header(columns: BatchColumns, *, scores: bool, judged: bool) -> list[str]:
    named = ["row", "text", "label", "score", "truncated", "error", *(["expected", "loss"] if judged else [])]
    several = ["labels"] if columns.several else []
    tasks = [f"{task}.{part}" for task in columns.tasks for part in ("label", "score")]
    return [*named, *several, *tasks, *([f"score.{label}" for label in columns.labels] if scores else [])]


def _cells(answer: dict[str, Any], columns: BatchColumns, *, scores: bool, judged: bool) -> list[Any]:
    cells = [answer["row"], answer["text"], answer.get("label"), answer.get("score"), answer.get("truncated")]
    cells.append((answer.get("error") or {}).get("code"))
    if judged:
        expected = answer["expected"]
        cells.append(json.dumps(expected, ensure_ascii=False) if isinstance(expected, list) else expected)
        cells.append(answer.get("loss"))
    if columns.several:
        cells.append(json.dumps(answer.get("labels", []), ensure_ascii=False))
    for task in columns.tasks:
        found = (answer.get("tasks") or {}).get(task, {})
        cells += [found.get("label"), found.get("score")]
    if scores:
        cells += [(answer.get("scores") or {}).get(label) for label in columns.labels]
    return cells


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _taken(sink: io.StringIO) -> bytes:
    text = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return text.encode()
