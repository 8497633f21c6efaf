"""Drawings as SVG files of their own: title, legend and colours inside, light or dark as the reader has it."""

import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from app.reports.charts import HEIGHT, WIDTH, Chart, draw, legend_key
from app.reports.heatmap import MOST_CELLS, draw_matrix, drawable
from app.reports.html import charts
from app.schemas.metrics import Evaluation
from app.schemas.reports import Report

CHARTS = {
    "loss": "Loss",
    "metrics": "Validation scores",
    "accuracy": "Accuracy in training and validation",
    "learning_rate": "Learning rate",
    "gradient_norm": "Gradient norm",
    "throughput": "Throughput, examples per second",
}
CONFUSION_MATRIX = "confusion_matrix"
PLOTS = (*CHARTS, CONFUSION_MATRIX)

MARGIN, HEAD, LEGEND = 16, 40, 22
CHARACTER = 6.4
"""Width of one character of a legend in SVG units, about."""
LONGEST_NAME = 40

_SIZE = re.compile(r'^<svg [^>]*?viewBox="0 0 (\d+) (\d+)"')
_VARIABLE = re.compile(r"(--[a-z0-9]+): (#[0-9a-f]+);")
_USE = re.compile(r"var\((--[a-z0-9]+)\)")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plot(report: Report, name: str) -> str | None:
    """Draw one of ``PLOTS`` as an SVG document; None when the job has nothing to draw there yet."""
    if name == CONFUSION_MATRIX:
        judged = [score.evaluation for score in report.scores if drawable(score.evaluation, MOST_CELLS)]
        return _matrix(report, judged[-1]) if judged else None
    found = next((chart for chart in charts(report) if chart.title == CHARTS.get(name)), None)
    return _chart(report, found) if found else None


def _chart(report: Report, chart: Chart) -> str:
    drawing = _placed(draw(chart), MARGIN, HEAD + LEGEND, WIDTH, HEIGHT)
    return _document(report, chart.title, WIDTH, LEGEND + HEIGHT, Markup("{}{}").format(_legend(chart), drawing))


def _matrix(report: Report, evaluation: Evaluation) -> str:
    drawing = draw_matrix(evaluation)
    width, height = size_of(drawing)
    title = f"Confusion matrix, {evaluation.split} split"
    return _document(report, title, width, height, _placed(drawing, MARGIN, HEAD, width, height))


def size_of(drawing: str) -> tuple[int, int]:
    """Give width and height of a drawing of ours."""
    size = _SIZE.match(drawing)
    return (int(size[1]), int(size[2])) if size else (WIDTH, WIDTH)


def _legend(chart: Chart) -> Markup:
    parts, x = [], float(MARGIN)
    for index, curve in enumerate(chart.curves):
        name = curve.name if len(curve.name) <= LONGEST_NAME else curve.name[: LONGEST_NAME - 1] + "…"
        key = _placed(legend_key(index, curve), x, HEAD + 2, 28, 12)
        parts.append(Markup('{}<text class="tick" x="{}" y="{}">{}</text>').format(key, x + 34, HEAD + 12, name))
        x += 34 + CHARACTER * len(name) + 16
    return Markup("").join(parts)


def _placed(drawing: Markup, x: float, y: float, width: int, height: int) -> Markup:
    """Put a drawing at a place of the document it becomes a part of."""
    place = Markup('<svg x="{}" y="{}" width="{}" height="{}"').format(x, y, width, height)
    return place + Markup(drawing[len("<svg") :])  # noqa: S704 - the rest of what was Markup already


def _document(report: Report, title: str, width: int, height: int, content: Markup) -> str:
    across, down = width + 2 * MARGIN, HEAD + height + MARGIN
    heading = Markup('<text class="heading" x="{}" y="26">{}<tspan class="of" dx="8">{}</tspan></text>').format(
        MARGIN, title, report.title
    )
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}">'
        '<style>{2}</style><rect class="sheet" width="{0}" height="{1}"/>{3}{4}</svg>\n'
    ).format(across, down, Markup(_style()), heading, content)  # noqa: S704 - a file of this package
    return _NOT_XML.sub(" ", svg)


@cache
def _style() -> str:
    """Write the colours out: many programs that show SVG know no variables, and leave out a rule for the dark."""
    templates = files("app.reports").joinpath("templates")
    palette, rules = (templates.joinpath(name).read_text("utf-8") for name in ("palette.css", "drawing.css"))
    light, _, dark = palette.partition("@media (prefers-color-scheme: dark)")
    rules += "svg .sheet { fill: var(--card); }\nsvg .heading { font-size: 15px; font-weight: 600; }\n"
    rules += "svg .of { font-size: 12px; font-weight: 400; fill: var(--muted); }\n"
    return f"{_coloured(rules, light)}@media (prefers-color-scheme: dark) {{\n{_coloured(rules, dark)}}}\n"


def _coloured(rules: str, palette: str) -> str:
    colours = dict(_VARIABLE.findall(palette))
    return _USE.sub(lambda use: colours[use[1]], rules)
