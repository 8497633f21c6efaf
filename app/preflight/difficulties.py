"""How hard each row is: a number that a dataset may bring for each of them, kept for the curriculum of a job."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

from app.preflight.breaches import Breaches, BrokenRule
from app.preflight.tables.table import Row, Table


class Difficulties:
    """Reads the numbers while something else reads the rows; without a column it does nothing."""

    def __init__(self, column: str | None, unit: str) -> None:
        self._column = column
        self._numbers = array("d")
        self._breaches = Breaches(unit, {"difficulty": column})

    def beside(self, table: Table) -> Table:
        """Give the same table; who goes through its rows fills this in passing."""
        return table if self._column is None else replace(table, rows=self._watched(table.rows, self._column))

    def refuse_if_any(self) -> None:
        """Raise DatasetRefused when a row had no number."""
        self._breaches.refuse_if_any()

    def fields(self) -> Iterator[str]:
        """Write the part of each stored row that says how hard it is; an empty one without a column."""
        if self._column is None:
            return repeat("")
        return (f',"difficulty":{number!r}' for number in self._numbers)

    def _watched(self, rows: Iterator[tuple[int, Row]], column: str) -> Iterator[tuple[int, Row]]:
        for place, row in rows:
            try:
                self._numbers.append(number_of(row.get(column)))
            except BrokenRule as broken:
                self._breaches.add(broken.rule, place)
            yield place, row


def number_of(value: Any) -> float:
    """Give a finite number, also one that is written as text; raises BrokenRule."""
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BrokenRule("no-difficulty")
    return number
