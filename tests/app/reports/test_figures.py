"""Plots as files: well-formed, alone in the world, readable in any program and in both schemes."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from app.reports.assembly import build_report
from app.reports.figures import PLOTS, plot
from app.schemas.reports import Report
from app.store.metrics import Point

SVG = "{http://www.w3.org/2000/svg}"
Make = Callable[..., Any]


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(("name", "shown"), [
    ("loss", ["Losscontent-rating:3", "train/loss", "eval/loss", "kept checkpoint"]),
    ("metrics", ["Validation scorescontent-rating:3", "eval/f1_macro", "commonest label 0.602"]),
    ("accuracy", ["Accuracy in training and validationcontent-rating:3", "train/accuracy", "eval/accuracy"]),
    ("learning_rate", ["Learning ratecontent-rating:3", "train/learning_rate"]),
    ("confusion_matrix", ["Confusion matrix, test splitcontent-rating:3", "general", "251"]),
])  # fmt: skip
def test_a_plot_has_its_title_legend_and_values(report: Report, name: str, shown: list[str]) -> None:
    svg = plot(report, name)
    assert svg is not None
    assert [part for part in shown if part not in words(svg)] == []
    root = ElementTree.fromstring(svg)
    inner = [each for each in root.iter(f"{SVG}svg") if each is not root]
    assert all(float(each.get("x", 0)) + float(each.get("width", 0)) <= float(root.get("width", 0)) for each in inner)


def test_colours_are_written_out_for_both_schemes(report: Report) -> None:
    svg = plot(report, "loss")
    assert svg is not None and "var(" not in svg
    light, _, dark = svg.partition("@media (prefers-color-scheme: dark)")
    assert "fill: #ffffff" in light and "fill: #1a2029" in dark


def test_a_job_without_curves_has_no_plots(make_job: Make) -> None:
    waiting = build_report(make_job(status="queued", metrics={"best": None}, result=None), [])
    assert [plot(waiting, name) for name in (*PLOTS, "confetti")] == [None] * (len(PLOTS) + 1)


def test_labels_are_text_and_never_break_the_document(make_job: Make, make_profile: Make, points: list[Point]) -> None:
    names = ["<script>alert(1)</script>&\x01\x0b\ufffe", "teen", "mature"]
    job = make_job(names=names)
    curves = [*points, *(Point(f"eval/f1:{names[0]}", 245 * n, float(n), 0.1 * n) for n in range(1, 4))]
    job.metrics.best.name = f"f1:{names[0]}"
    nasty = build_report(job, curves, profile=make_profile(names=names))
    for name in ("metrics", "confusion_matrix"):
        svg = plot(nasty, name)
        assert svg is not None
        assert list(ElementTree.fromstring(svg).iter(f"{SVG}script")) == []
        assert any(text.startswith(("eval/f1:<script>", "<script>")) for text in words(svg))


def test_a_large_matrix_is_drawn_without_its_counts(make_evaluation: Make, make_job: Make) -> None:
    names = [f"label {number}" for number in range(40)]
    matrix = [[9 if row == column else 1 for column in range(40)] for row in range(40)]
    job = make_job()
    job.metrics.test = make_evaluation("test", matrix, names)
    svg = plot(build_report(job, []), "confusion_matrix")
    assert svg is not None
    assert "label 39" in words(svg) and "9" not in words(svg)
