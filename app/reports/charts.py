"""Line charts as SVG for a page without scripts: the page gives the colours, shapes tell lines apart without them."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.reports.scales import Scale, fit, tick_label
from app.reports.wording import number
from app.schemas.reports import CurvePoint, ReportedCurve

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 20, 40
MOST_MARKERS = 40
"""More points than this are drawn as a thin line with a smoothed one on top."""
STYLES = 4


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line to compare with."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at one place of the run."""

    name: str
    point: CurvePoint


@dataclass(frozen=True, slots=True)
class Chart:
    """What one chart shows."""

    title: str
    curves: Sequence[ReportedCurve]
    level: Level | None = None
    mark: Mark | None = None
    exact: bool = False
    """True: the curves have no noise to be smoothed away."""


def draw(chart: Chart) -> Markup:
    """Draw a chart; the curves must have points."""
    by_epoch = _counts_epochs(chart.curves)
    xs = [_x(point, by_epoch) for curve in chart.curves for point in curve.points]
    ys = [point.value for curve in chart.curves for point in curve.points]
    if chart.level:
        ys.append(chart.level.value)
    across = fit(xs, LEFT, WIDTH - RIGHT, ticks=7, snug=True)
    up = fit(ys, HEIGHT - BOTTOM, TOP)
    parts = [
        _grid(across, up, "epoch" if by_epoch else "step"),
        _level(chart.level, up),
        _mark(chart.mark, across, by_epoch),
        *(_curve(chart, index, across, up, by_epoch) for index in range(len(chart.curves))),
    ]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="chart">{}</svg>').format(
        WIDTH, HEIGHT, _spoken(chart), Markup("").join(parts)
    )


def legend_key(index: int, curve: ReportedCurve) -> Markup:
    """Draw the piece of line that stands for a curve in a legend."""
    marker = _marker(index, 14, 6, "") if len(curve.points) <= MOST_MARKERS else Markup("")
    return Markup('<svg viewBox="0 0 28 12" class="key" aria-hidden="true">{}{}</svg>').format(
        Markup('<path class="line s{}" d="M1 6H27"/>').format(index % STYLES), marker
    )


def _counts_epochs(curves: Sequence[ReportedCurve]) -> bool:
    """Use epochs where the run was long enough for them to say something and they grow with the steps."""
    points = [point for curve in curves for point in curve.points]
    ordered = sorted(points, key=lambda point: point.step)
    epochs = [point.epoch for point in ordered]
    return bool(epochs) and epochs[-1] >= 2 and epochs == sorted(epochs)


def _x(point: CurvePoint, by_epoch: bool) -> float:
    return point.epoch if by_epoch else float(point.step)


def _grid(across: Scale, up: Scale, unit: str) -> Markup:
    lines = [
        Markup('<path class="grid" d="M{} {}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            LEFT, up(tick), WIDTH - RIGHT, LEFT - 8, up(tick) + 4, tick_label(tick, up)
        )
        for tick in up.ticks
    ]
    bottom = HEIGHT - BOTTOM
    lines += [
        Markup(
            '<path class="axis" d="M{} {}v4"/><text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>'
        ).format(across(tick), bottom, across(tick), bottom + 18, tick_label(tick, across))
        for tick in across.ticks
    ]
    lines.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, bottom, WIDTH - RIGHT))
    lines.append(
        Markup('<text class="unit" x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH - RIGHT, HEIGHT - 4, unit)
    )
    return Markup("").join(lines)


def _level(level: Level | None, up: Scale) -> Markup:
    if level is None:
        return Markup("")
    y = up(level.value)
    return Markup(
        '<path class="level" d="M{} {}H{}"/><text class="note" x="{}" y="{}" text-anchor="end">{} {}</text>'
    ).format(LEFT, y, WIDTH - RIGHT, WIDTH - RIGHT - 2, y - 5, level.name, number(level.value))


def _mark(mark: Mark | None, across: Scale, by_epoch: bool) -> Markup:
    if mark is None:
        return Markup("")
    x = across(min(max(_x(mark.point, by_epoch), across.low), across.high))
    anchor, shift = ("end", 4) if x > WIDTH / 2 else ("start", -4)
    return Markup(
        '<path class="mark" d="M{} {}V{}"/><text class="note" x="{}" y="{}" text-anchor="{}">{}</text>'
    ).format(x, TOP, HEIGHT - BOTTOM, x + shift, TOP - 6, anchor, mark.name)


def _curve(chart: Chart, index: int, across: Scale, up: Scale, by_epoch: bool) -> Markup:
    curve = chart.curves[index]
    places = [(across(_x(point, by_epoch)), up(point.value)) for point in curve.points]
    style = index % STYLES
    if len(places) > MOST_MARKERS:
        smooth = (
            places if chart.exact else list(zip([x for x, _ in places], _smoothed([y for _, y in places]), strict=True))
        )
        return Markup('<path class="raw s{}" d="{}"/><path class="line s{}" d="{}"><title>{}</title></path>').format(
            style, _path(places), style, _path(smooth), curve.name
        )
    dots = [
        _marker(index, x, y, f"{curve.name} {number(point.value)} at step {point.step}, epoch {number(point.epoch)}")
        for (x, y), point in zip(places, curve.points, strict=True)
    ]
    return Markup('<path class="line s{}" d="{}"/>{}').format(style, _path(places), Markup("").join(dots))


def _smoothed(values: Sequence[float]) -> list[float]:
    """Average each value with its neighbours, a twentieth of the curve to either side."""
    reach = max(1, len(values) // 20)
    windows = [values[max(0, place - reach) : place + reach + 1] for place in range(len(values))]
    return [round(sum(window) / len(window), 1) for window in windows]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)


def _marker(index: int, x: float, y: float, words: str) -> Markup:
    """Draw a circle, square, triangle or diamond, so that curves differ in more than colour."""
    shapes = (
        "M{0} {1}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
        "M{0} {1}m-3 -3h6v6h-6z",
        "M{0} {1}m0 -4.2l4 7h-8z",
        "M{0} {1}m0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z",
    )
    shape = shapes[index % STYLES].format(x, y)
    title = Markup("<title>{}</title>").format(words) if words else Markup("")
    return Markup('<path class="dot s{}" d="{}">{}</path>').format(index % STYLES, shape, title)


def _spoken(chart: Chart) -> str:
    curves = "; ".join(
        f"{curve.name} from {number(curve.first.value)} to {number(curve.last.value)}" for curve in chart.curves
    )
    return f"{chart.title}: {curves}"
