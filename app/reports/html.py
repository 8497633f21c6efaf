"""A report as one HTML page: styles and drawings inside, nothing loaded from anywhere, no script."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from app.reports import templates
from app.reports.charts import Chart, Level, Mark, draw, legend_key
from app.reports.heatmap import draw_matrix, drawable
from app.reports.reliability import draw_reliability
from app.schemas.reports import CurvePoint, Report, ReportedCurve

if TYPE_CHECKING:
    from jinja2 import Environment

OTHER_CHARTS = {
    "Accuracy in training and validation": ("train/accuracy", "eval/accuracy"),
    "Learning rate": ("train/learning_rate",),
    "Gradient norm": ("train/grad_norm",),
    "Throughput, examples per second": ("train/examples_per_second",),
}
EXACT = {"Learning rate"}
MOST_SCORES = 3


def as_html(report: Report) -> str:
    """Render the page; every text is escaped."""
    return _environment().get_template("report.html.j2").render(report=report, charts=charts(report))


def charts(report: Report) -> list[Chart]:
    """Choose what to draw: losses, scores with the baseline, then the others that were recorded."""
    curves = {curve.name: curve for curve in report.curves}
    best = report.best
    place = CurvePoint(step=best.step, epoch=best.epoch, value=best.value) if best else None
    mark = Mark("kept checkpoint", place) if place else None
    drawn = [Chart("Loss", _among(curves, ("train/loss", "eval/loss")), mark=mark)]
    scores = _among(curves, _score_names(report))
    base = report.data.majority_baseline
    shows_accuracy = any(curve.name == "eval/accuracy" for curve in scores)
    commonest = "commonest label" if report.problem_type == "single_label" else "commonest set of labels"
    level = Level(commonest, base) if base is not None and shows_accuracy else None
    drawn.append(Chart("Validation scores", scores, level=level, mark=mark))
    drawn += [
        Chart(title, _among(curves, names), exact=title in EXACT)
        for title, names in OTHER_CHARTS.items()
        if names[0] in curves
    ]
    return [chart for chart in drawn if chart.curves]


def _score_names(report: Report) -> list[str]:
    wanted = [f"eval/{report.best.name}"] if report.best else []
    names = [*wanted, "eval/f1_macro", "eval/accuracy", "eval/f1_weighted"]
    return [name for name in dict.fromkeys(names) if name != "eval/loss"][:MOST_SCORES]


def _among(curves: dict[str, ReportedCurve], names: tuple[str, ...] | list[str]) -> list[ReportedCurve]:
    return [curves[name] for name in names if name in curves]


@cache
def _environment() -> Environment:
    environment = templates.environment()
    environment.globals |= {
        "draw": draw,
        "draw_matrix": draw_matrix,
        "drawable": drawable,
        "draw_reliability": draw_reliability,
        "legend_key": legend_key,
    }
    return environment
