"""The reliability diagram, and what pages say about calibration."""

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from app.reports.assembly import build_report
from app.reports.html import as_html
from app.reports.markdown import as_markdown
from app.reports.reliability import LARGEST, LEFT, SIDE, TOP, draw_reliability
from app.schemas.jobs import JobMetrics
from app.schemas.metrics import Calibration, CalibrationScores, ReliabilityBin
from app.schemas.reports import Report

Make = Callable[..., Any]
BEFORE = CalibrationScores(
    ece=0.105,
    nll=0.71,
    brier=0.31,
    bins=[
        ReliabilityBin(start=7 / 15, count=25, confidence=0.5, accuracy=0.5),
        ReliabilityBin(start=14 / 15, count=75, confidence=1.0, accuracy=0.86),
    ],
)
AFTER = CalibrationScores(
    ece=0.012, nll=0.52, brier=0.24, bins=[ReliabilityBin(start=12 / 15, count=100, confidence=0.85, accuracy=0.86)]
)
FITTED = Calibration(rows=100, temperature=1.8, before=BEFORE, after=AFTER)
PLAIN = Calibration(rows=100, temperature=1.0, before=BEFORE, after=None, abstained=0.2, accuracy_of_rest=0.95)


def circles(svg: str) -> list[dict[str, str]]:
    return [node.attrib for node in ElementTree.fromstring(svg).iter("circle")]


def test_bins_stand_where_they_belong_and_weigh_what_they_hold() -> None:
    few, many = circles(str(draw_reliability(PLAIN)))
    assert (float(few["cx"]), float(few["cy"])) == (LEFT + SIDE / 2, TOP + SIDE / 2)
    assert (float(many["cx"]), float(many["cy"])) == (LEFT + SIDE, pytest.approx(TOP + 0.14 * SIDE, abs=0.1))
    assert float(few["r"]) == pytest.approx(LARGEST / 2, abs=0.06)
    assert float(many["r"]) > float(few["r"])


def test_before_and_after_are_told_apart_in_words() -> None:
    svg = str(draw_reliability(FITTED))
    assert [circle["class"] for circle in circles(svg)] == ["dot s0", "dot s1", "dot s1"]
    label = ElementTree.fromstring(svg).attrib["aria-label"]
    assert "as served, expected calibration error 1.2 %; before calibration, expected calibration error 10.5 %" in label
    assert "100 answers, 85.0 % sure, 86.0 % right" in svg
    assert "before calibration" not in str(draw_reliability(PLAIN))


@pytest.fixture
def told(make_job: Make) -> Callable[[Calibration], Report]:
    """Make a report whose test scores have this calibration."""

    def made(calibration: Calibration) -> Report:
        job = make_job()
        test = job.metrics.test.model_copy(update={"calibration": calibration})
        return build_report(make_job(metrics=JobMetrics(best=job.metrics.best, test=test)), [])

    return made


def test_both_pages_show_the_figures(told: Callable[[Calibration], Report]) -> None:
    page, text = as_html(told(FITTED)), as_markdown(told(FITTED))
    assert 'class="reliability"' in page and "Nothing was fitted on these rows." in page
    for shown in ("1.2 %", "0.520", "0.240", "10.5 %", "0.710", "0.310"):
        assert shown in page and shown in text
    assert re.search(r"\| as served, temperature 1.8 \| 1.2 % \| 0.520 \| 0.240 \|", text)


def test_a_version_that_abstains_says_how_often(told: Callable[[Calibration], Report]) -> None:
    page, text = as_html(told(PLAIN)), as_markdown(told(PLAIN))
    for words in ("bstains on 20.0 % of the rows", "95.0 %", "as served, not calibrated"):
        assert words in page and words in text
