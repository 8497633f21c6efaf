"""The one shape of every file: column names and numbered rows; and the way lines that cannot be read are told."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import DatasetRefused, FieldError

Row = Mapping[str, Any]
_MOST_BAD_LINES = 10


@dataclass
class Table:
    """Column names (those of the first row where rows may differ) and rows with the line or row they come from."""

    columns: list[str]
    rows: Iterator[tuple[int, Row]]
    unit: str = "line"
    typed: bool = False
    """True when the file itself says which values are numbers."""
    types: dict[str, str] = field(default_factory=dict)
    """Column types that a file declares (Parquet)."""


class BadLines:
    """Remembers the first lines that broke a rule, and how many there were."""

    def __init__(self, code: str, what: str, remedy: str) -> None:
        self.code, self.what, self.remedy = code, what, remedy
        self.total = 0
        self.first: list[FieldError] = []

    def add(self, line: int, rule: str, detail: str) -> None:
        """Count one more; details never quote the line."""
        self.total += 1
        if len(self.first) < _MOST_BAD_LINES:
            self.first.append(FieldError(f"/lines/{line}", rule, detail))

    def refuse_if_any(self) -> None:
        """Raise DatasetRefused when a line was bad."""
        if self.total:
            lines = "line" if self.total == 1 else "lines"
            raise DatasetRefused(
                f"{self.total} {lines} of the {self.what} cannot be read; first: {self.first[0].pointer[7:]}, "
                f"which {self.first[0].detail}.",
                code=self.code,
                remedy=self.remedy,
                errors=tuple(self.first),
                extra={"bad_lines": self.total},
            )


def shown(names: Iterable[str], most: int = 30) -> list[str]:
    """Make column names fit for a message: a headerless file has a row of data in their place."""
    listed = list(names)
    short = [re.sub(r"[\x00-\x1f]", " ", name)[:40] for name in listed[:most]]
    return short + ([f"... {len(listed) - most} more"] if len(listed) > most else [])
