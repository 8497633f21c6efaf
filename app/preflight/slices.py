"""Which slices each row belongs to: values of further columns, such as source or language, kept beside the rows."""

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

from app.errors import DatasetRefused, FieldError
from app.preflight.breaches import Breaches, BrokenRule
from app.preflight.tables.table import Row, Table, shown

MOST_VALUES = 50
"""Different values of a column; one with more is no grouping of rows but a text or an id."""
LONGEST_VALUE = 100
_NONE = -1


class Slices:
    """Reads the values while something else reads the rows; without columns it does nothing."""

    def __init__(self, columns: Sequence[str], unit: str) -> None:
        self._columns = list(columns)
        self._values: list[dict[str, int]] = [{} for _ in columns]
        self._codes = [array("b") for _ in columns]
        self._breaches = [Breaches(unit, {"slice": column}) for column in columns]

    def beside(self, table: Table) -> Table:
        """Give the same table; who goes through its rows fills this in passing."""
        return replace(table, rows=self._watched(table.rows)) if self._columns else table

    def take(self, place: int, row: Mapping[str, Any]) -> None:
        """Read the values of one row; ``place`` is where it stands in its file."""
        for index, column in enumerate(self._columns):
            try:
                self._codes[index].append(self._code(index, value_of(row.get(column))))
            except BrokenRule as broken:
                self._breaches[index].add(broken.rule, place)

    def refuse_if_any(self) -> None:
        """Raise DatasetRefused when a value was none that a slice can have."""
        for breaches in self._breaches:
            breaches.refuse_if_any()

    def fields(self) -> Iterator[str]:
        """Write the part of each stored row that says where it belongs; an empty one without columns."""
        if not self._columns:
            return repeat("")
        names = [list(values) for values in self._values]
        return (self._field(names, codes) for codes in zip(*self._codes, strict=True))

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the rows by column and value, the commonest first."""
        return {
            column: {list(values)[code]: rows for code, rows in Counter(codes.tolist()).most_common() if code != _NONE}
            for column, values, codes in zip(self._columns, self._values, self._codes, strict=True)
        }

    def _field(self, names: list[list[str]], codes: tuple[int, ...]) -> str:
        row = {
            column: known[code] for column, known, code in zip(self._columns, names, codes, strict=True) if code >= 0
        }
        return f',"slices":{json.dumps(row, ensure_ascii=False, separators=(",", ":"))}'

    def _watched(self, rows: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
        for place, row in rows:
            self.take(place, row)
            yield place, row

    def _code(self, index: int, value: str | None) -> int:
        if value is None:
            return _NONE
        known = self._values[index]
        if value not in known and len(known) >= MOST_VALUES:
            raise _too_many(self._columns[index])
        return known.setdefault(value, len(known))


def value_of(value: Any) -> str | None:
    """Give a value as a word; None for an empty one, whose row is in no slice of the column. Raises BrokenRule."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int)):
        raise BrokenRule("slice-type")
    word = str(value).strip()
    if "\0" in word or len(word) > LONGEST_VALUE:
        raise BrokenRule("slice-too-long")
    return word


def _too_many(column: str) -> DatasetRefused:
    return DatasetRefused(
        f"The column {shown([column])[0]} has more than {MOST_VALUES} different values.",
        code="too-many-slices",
        remedy="A slice column groups rows, as source or language do. Name another one, or merge its rare values.",
        errors=(FieldError("/slice_columns", "too-many-slices", f"must have at most {MOST_VALUES} different values"),),
    )
