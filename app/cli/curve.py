"""A curve in a few lines of a terminal, drawn with braille dots: eight to a character."""

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot by row and column (Unicode 15, block 2800)."""
BLANK = 0x2800
HIGHEST_SPREAD = 0.98
"""Share of the values that must fit: a single spike at the start would flatten the rest of the curve."""


def drawn(points: Sequence[Point], *, width: int, height: int, last: float) -> list[str]:
    """Draw points, (x, y) by rising x, as lines of text; ``last`` is the x of the right edge.

    What lies above the 98th percentile is drawn at the top. Gives nothing for fewer than two points.
    """
    known = [(x, y) for x, y in points if math.isfinite(y)]
    if len(known) < 2 or last <= 0:
        return []
    low, high = bounds([y for _, y in known])
    columns, rows = width * 2, height * 4
    canvas = [[BLANK] * width for _ in range(height)]
    places = [(min(columns - 1, int(x / last * (columns - 1))), _row(y, low, high, rows)) for x, y in known]
    for (left, start), (right, end) in pairwise(places):
        before = start
        for column in range(left, right + 1):
            share = (column - left) / (right - left) if right > left else 1.0
            row = round(start + (end - start) * share)
            for between in range(min(before, row), max(before, row) + 1):  # a steep part is a line too
                _dot(canvas, column, between)
            before = row
    return _labelled(["".join(map(chr, line)).rstrip(chr(BLANK)) for line in canvas], low, high)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Give the lowest and the highest value that the picture shows; never the same."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[max(1, math.ceil(len(ordered) * HIGHEST_SPREAD) - 1)]
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _row(value: float, low: float, high: float, rows: int) -> int:
    return round((1 - min(1.0, (value - low) / (high - low))) * (rows - 1))


def _dot(canvas: list[list[int]], column: int, row: int) -> None:
    canvas[row // 4][column // 2] |= DOTS[row % 4][column % 2]


def _labelled(lines: list[str], low: float, high: float) -> list[str]:
    """Write the highest value beside the first line, the lowest beside the last."""
    names = [f"{high:.3g}", *("" for _ in lines[2:]), f"{low:.3g}"]
    wide = max(map(len, names))
    return [f"{name:>{wide}} \u2502{line}" for name, line in zip(names, lines, strict=True)]
