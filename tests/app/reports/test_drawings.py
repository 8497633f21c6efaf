"""Charts and heat maps: well-formed SVG with round ticks, and safe with any label."""

import math
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doctor.history import History
from app.reports.charts import Chart, Level, Mark, draw
from app.reports.curves import reported_curves
from app.reports.heatmap import draw_matrix, drawable
from app.reports.scales import fit, tick_label
from app.schemas.metrics import Evaluation
from app.schemas.reports import CurvePoint, ReportedCurve
from app.store.metrics import Point

MakeEvaluation = Callable[..., Evaluation]
NASTY = '</svg><script>alert("x")</script> & \'"'


def curve(values: list[float], *, name: str = "train/loss", steps_per_epoch: int = 100) -> ReportedCurve:
    points = [Point(name, 100 * n, 100 * n / steps_per_epoch, value) for n, value in enumerate(values, start=1)]
    return reported_curves(History(points), {})[0]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.13, 1.21], [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]),
        ([2, 98], [0, 20, 40, 60, 80, 100]),
        ([0, 2e-5], [0, 5e-6, 1e-5, 1.5e-5, 2e-5]),
        ([-0.4, 0.4], [-0.4, -0.2, 0.0, 0.2, 0.4]),
    ],
)
def test_ticks_are_round_and_hold_the_values(values: list[float], ticks: list[float]) -> None:
    assert fit(values, 0, 100).ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.13, 1.21], ["0", "0.25", "0.50", "0.75", "1.00", "1.25"]),
        ([0, 4], ["0", "1", "2", "3", "4"]),
        ([0, 2e-5], ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]),
        ([0, 12000], ["0", "2,500", "5,000", "7,500", "10,000", "12,500"]),
        ([0, 4e6], ["0", "1e6", "2e6", "3e6", "4e6"]),
    ],
)
def test_tick_labels_have_the_digits_they_need(values: list[float], labels: list[str]) -> None:
    scale = fit(values, 0, 100)
    assert [tick_label(tick, scale) for tick in scale.ticks] == labels


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), max_size=8), st.booleans())
def test_any_values_have_a_scale(values: list[float], snug: bool) -> None:
    scale = fit(values, 10, 200, snug=snug)
    assert all(9 <= scale(value) <= 201 for value in values)
    assert all(after > before for before, after in pairwise(scale.ticks))
    assert len(scale.ticks) <= 8
    assert all(math.isfinite(tick) and tick_label(tick, scale) for tick in scale.ticks)


def test_a_chart_shows_its_curves_with_their_values() -> None:
    svg = draw(Chart("Loss", [curve([1.0, 0.5, 0.25]), curve([1.1, 0.7, 0.6], name="eval/loss")]))
    root = ElementTree.fromstring(svg)

    titles = [title.text for title in root.iter("title")]
    assert "train/loss 0.25 at step 300, epoch 3" in titles
    assert len([path for path in root.iter("path") if "line" in path.get("class", "")]) == 2
    assert root.get("aria-label") == "Loss: train/loss from 1 to 0.25; eval/loss from 1.1 to 0.6"
    assert "epoch" in texts(svg)


def test_a_run_shorter_than_two_epochs_is_drawn_by_steps() -> None:
    assert "step" in texts(draw(Chart("Loss", [curve([1.0, 0.9], steps_per_epoch=1000)])))


def test_a_single_point_can_be_drawn() -> None:
    ElementTree.fromstring(draw(Chart("Loss", [curve([1.0])])))


def test_a_long_curve_is_smoothed_unless_it_is_exact() -> None:
    noisy = curve([float(n % 2) for n in range(100)])
    smooth, exact = draw(Chart("Loss", [noisy])), draw(Chart("Rate", [noisy], exact=True))

    def heights(svg: str) -> set[str]:
        (line,) = [p for p in ElementTree.fromstring(svg).iter("path") if p.get("class", "").startswith("line")]
        return {place.split(" ")[1] for place in line.get("d", "")[1:].split("L")}

    assert len(heights(exact)) == 2
    assert len(heights(smooth)) > 2


def test_a_level_and_a_mark_are_named_and_stay_inside() -> None:
    mark = Mark("kept checkpoint", CurvePoint(step=900, epoch=9.0, value=0.5))
    svg = draw(Chart("Scores", [curve([0.4, 0.5, 0.6])], level=Level("commonest label", 0.9), mark=mark))

    assert "kept checkpoint" in texts(svg)
    assert "commonest label 0.9" in texts(svg)
    assert "0.9" in [text.strip() for text in texts(svg)] or "1.0" in texts(svg)


def test_names_cannot_leave_the_drawing(make_evaluation: MakeEvaluation) -> None:
    chart = draw(Chart(NASTY, [curve([1.0, 0.5], name=f"eval/f1:{NASTY}")], level=Level(NASTY, 0.4)))
    matrix = draw_matrix(make_evaluation("test", [[5, 1], [2, 7]], [NASTY, "x" * 200]))
    for svg in (chart, matrix):
        assert ElementTree.fromstring(svg).tag == "svg"
        assert "<script" not in svg


def test_a_heat_map_shows_counts_and_shares(make_evaluation: MakeEvaluation) -> None:
    svg = draw_matrix(make_evaluation("test", [[8, 2], [5, 15]], ["ham", "spam"]))
    root = ElementTree.fromstring(svg)

    titles = [title.text for title in root.iter("title")]
    assert titles[1] == "ham taken for spam: 2 of 10 (20.0 %)"
    cells = [(cell.get("class"), cell.get("fill-opacity")) for cell in root.iter("rect")]
    assert cells == [
        ("cell right", "0.812"),
        ("cell wrong", "0.248"),
        ("cell wrong", "0.295"),
        ("cell right", "0.765"),
    ]


def test_a_label_without_rows_has_empty_cells(make_evaluation: MakeEvaluation) -> None:
    ElementTree.fromstring(draw_matrix(make_evaluation("test", [[0, 0], [5, 15]], ["ham", "spam"])))


def test_only_small_and_complete_matrices_are_drawn(make_evaluation: MakeEvaluation) -> None:
    def square(width: int) -> Evaluation:
        return make_evaluation("test", [[1] * width for _ in range(width)], [str(n) for n in range(width)])

    assert drawable(square(2))
    assert drawable(square(20))
    assert not drawable(square(21))
    assert not drawable(square(3).model_copy(update={"confusion_matrix": [[1, 2, 3]]}))
