"""The confusion matrix as an SVG heat map; the darker a cell, the greater its share of the row."""

from markupsafe import Markup

from app.reports.wording import count, percent
from app.schemas.metrics import TaskEvaluation

MOST_LABELS = 20
"""A larger matrix has no place in a page; the list of mistakes says it better."""
MOST_CELLS = 100
"""Labels of the largest matrix that is drawn at all."""
LONGEST_NAME = 18
CHARACTER = 6.6
"""Width of one character of a label in SVG units, about."""
WHITE_FROM = 0.88
"""Share from which white is easier to read on a cell than the colour of the text."""


def drawable(evaluation: TaskEvaluation, most: int = MOST_LABELS) -> bool:
    """Tell whether the matrix is complete and small enough to be read."""
    width = len(evaluation.per_class)
    return 2 <= width <= most and [len(row) for row in evaluation.confusion_matrix] == [width] * width


def draw_matrix(evaluation: TaskEvaluation) -> Markup:
    """Draw a drawable confusion matrix: true labels down, predicted labels across."""
    names = [_short(scores.label) for scores in evaluation.per_class]
    cell = 72 if len(names) <= 4 else 46 if len(names) <= 10 else 34 if len(names) <= MOST_LABELS else 15
    longest = max(map(len, names)) * CHARACTER
    left, top = longest + 30, longest * 0.72 + 34
    parts = [_captions(left, top, cell * len(names))]
    for index, name in enumerate(names):
        middle = index * cell + cell / 2
        parts.append(_text("end", left - 8, top + middle + 4, name))
        parts.append(_slanted(left + middle, top - 8, name))
    for row, counts in enumerate(evaluation.confusion_matrix):
        for column, number in enumerate(counts):
            place = (left + column * cell, top + row * cell)
            parts.append(_cell(evaluation, row, column, number, sum(counts), place, cell))
    width, height = left + cell * len(names) + longest * 0.5 + 8, top + cell * len(names) + 8
    return Markup(
        '<svg viewBox="0 0 {:.0f} {:.0f}" style="max-width:{:.0f}px" role="img" aria-label="{}" class="matrix">{}</svg>'
    ).format(width, height, width, f"Confusion matrix of the {evaluation.split} split", Markup("").join(parts))


def _cell(
    evaluation: TaskEvaluation, row: int, column: int, number: int, total: int, place: tuple[float, float], cell: int
) -> Markup:
    share = number / total if total else 0.0
    x, y = place
    true, predicted = evaluation.per_class[row].label, evaluation.per_class[column].label
    words = f"{true} taken for {predicted}: {count(number)} of {count(total)} ({percent(share)})"
    kind = "right" if row == column else "wrong"
    ink = "ink-light" if share >= WHITE_FROM else "ink"
    square = Markup(
        '<rect class="cell {}" x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="3" fill-opacity="{:.3f}"/>'
    ).format(kind, x + 1, y + 1, cell - 2, cell - 2, 0.06 + 0.94 * share)
    figure = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        ink, x + cell / 2, y + cell / 2 + (0 if cell >= 46 else 4), count(number)
    )
    below = Markup('<text class="{} small" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        ink, x + cell / 2, y + cell / 2 + 14, f"{share:.0%}".replace("%", " %")
    )
    shown = [square, *([figure] if cell >= 34 else []), *([below] if cell >= 46 else [])]
    return Markup("<g>{}<title>{}</title></g>").format(Markup("").join(shown), words)


def _captions(left: float, top: float, extent: float) -> Markup:
    return Markup(
        '<text class="unit" x="{:.1f}" y="14" text-anchor="middle">predicted</text>'
        '<text class="unit" transform="translate(12 {:.1f}) rotate(-90)" text-anchor="middle">true</text>'
    ).format(left + extent / 2, top + extent / 2)


def _text(anchor: str, x: float, y: float, words: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)


def _slanted(x: float, y: float, words: str) -> Markup:
    return Markup('<text class="tick" transform="translate({:.1f} {:.1f}) rotate(-40)">{}</text>').format(x, y, words)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
