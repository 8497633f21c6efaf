"""Reads pages of a stored dataset: the cursor is the place in the file, so every page costs the same."""

import base64
import binascii
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Lock

from app.artifacts.bundle import sha256_of
from app.artifacts.store import ArtifactStore
from app.errors import AppError, InternalError, NotFound, Unprocessable
from app.schemas.datasets import SplitName, StoredRow
from app.store import tables

_MOST_COPIES = 8
_MOST_LINES = 200_000
"""Lines looked at for one page; a filter that matches almost nothing gives a short page and a cursor."""


class RowReader:
    """Keeps copies of the datasets looked at last: the artifact store can only give whole files."""

    def __init__(self, artifacts: ArtifactStore, folder: Path) -> None:
        self._artifacts = artifacts
        self._folder = folder
        self._lock = Lock()

    def page(
        self, dataset: tables.Dataset, limit: int, cursor: str | None, split: SplitName | None, label: str | None
    ) -> tuple[list[StoredRow], str | None]:
        """Give rows in file order and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
        start = 0 if cursor is None else _decode(cursor, dataset.bytes)
        found: list[StoredRow] = []
        place = start
        for row, behind in _rows(self._copy(dataset), start):
            place = behind
            if (split is None or row.split == split) and (
                label is None or label == row.label or label in (row.labels or [])
            ):
                found.append(row)
            if len(found) == limit:
                break
        return found, None if place >= dataset.bytes else _encode(place)

    def texts(self, dataset: tables.Dataset, split: SplitName, places: Collection[int]) -> dict[int, str]:
        """Give the texts at some places of a split, counted from 0, as far as they are found; raises InternalError."""
        found: dict[int, str] = {}
        place, wanted = -1, set(places)
        for row, _ in _rows(self._copy(dataset), 0):
            place += row.split == split
            if row.split == split and place in wanted:
                found[place] = row.text
            if len(found) == len(wanted):
                break
        return found

    def forget(self, dataset_id: str) -> None:
        """Remove the copy of a dataset that was deleted."""
        (self._folder / f"{dataset_id}.jsonl").unlink(missing_ok=True)

    def _copy(self, dataset: tables.Dataset) -> Path:
        path = self._folder / f"{dataset.id}.jsonl"
        with self._lock:
            if not path.is_file():
                try:
                    self._artifacts.fetch(dataset.artifact_key, path)
                except NotFound:
                    raise _damaged("are missing from the artifact store") from None
                if sha256_of(path) != dataset.sha256:
                    path.unlink()
                    raise _damaged("differ from what was uploaded")
                self._make_room(path)
        return path

    def _make_room(self, newest: Path) -> None:
        others = sorted(self._folder.glob("ds_*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in [path for path in others if path != newest][_MOST_COPIES - 1 :]:
            path.unlink(missing_ok=True)


def _rows(path: Path, start: int) -> Iterator[tuple[StoredRow, int]]:
    """Give each row and the place behind it."""
    with path.open("rb") as file:
        file.seek(start)
        place = start
        for _ in range(_MOST_LINES):
            line = file.readline()
            if not line:
                return
            place += len(line)
            try:
                yield StoredRow.model_validate_json(line), place
            except ValueError:
                raise _invalid_cursor() from None  # a made-up place is rarely the start of a line


def _encode(place: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _decode(cursor: str, size: int) -> int:
    try:
        place = int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)[:20])
    except (ValueError, binascii.Error):
        raise _invalid_cursor() from None
    if not 0 <= place <= size:
        raise _invalid_cursor()
    return place


def _invalid_cursor() -> AppError:
    return Unprocessable(
        "The cursor is not one that this list gave out.",
        code="invalid-cursor",
        remedy="Use next_cursor of the page before as it is, or leave cursor out to begin at the start.",
    )


def _damaged(what: str) -> AppError:
    return InternalError(
        f"The stored rows of the dataset {what}.",
        code="damaged-dataset",
        remedy="Restore the artifact store from a backup, or upload the dataset again.",
    )
