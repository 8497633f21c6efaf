"""The reliability diagram as SVG: how sure answers are across, how many of them are right up; the diagonal is ideal."""

from collections.abc import Sequence

from markupsafe import Markup

from app.reports.wording import count, percent
from app.schemas.metrics import Calibration, CalibrationScores, ReliabilityBin

SIDE, LEFT, RIGHT, TOP, BOTTOM = 260, 58, 14, 30, 40
WIDTH, HEIGHT = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LARGEST = 7.0
"""Radius of the dot of all answers; the area of a dot is the share of its bin."""


def draw_reliability(calibration: Calibration) -> Markup:
    """Draw the bins of a split, as the version answers and, where that differs, as the trained model did."""
    drawn = [("as served", calibration.after or calibration.before)]
    if calibration.after is not None:
        drawn.append(("before calibration", calibration.before))
    parts = [_grid(), *(_key(index, name) for index, (name, _) in enumerate(drawn))]
    parts += [_bins(index, scores.bins) for index, (_, scores) in enumerate(drawn)]
    return Markup(
        '<svg viewBox="0 0 {} {}" style="max-width:{}px" role="img" aria-label="{}" class="reliability">{}</svg>'
    ).format(WIDTH, HEIGHT, WIDTH, _spoken(drawn), Markup("").join(parts))


def _x(share: float) -> float:
    return round(LEFT + share * SIDE, 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * SIDE, 1)


def _grid() -> Markup:
    lines = [
        Markup(
            '<path class="grid" d="M{0} {1}H{2}"/><text class="tick" x="{3}" y="{4}" text-anchor="end">{5}</text>'
            '<path class="axis" d="M{6} {7}v4"/><text class="tick" x="{6}" y="{8}" text-anchor="middle">{5}</text>'
        ).format(LEFT, _y(t), LEFT + SIDE, LEFT - 8, _y(t) + 4, f"{t:g}", _x(t), TOP + SIDE, TOP + SIDE + 18)
        for t in TICKS
    ]
    lines.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, TOP + SIDE, LEFT + SIDE))
    lines.append(Markup('<path class="level" d="M{} {}L{} {}"/>').format(_x(0), _y(0), _x(1), _y(1)))
    lines.append(
        Markup(
            '<text class="unit" x="{}" y="{}" text-anchor="end">probability</text>'
            '<text class="unit" x="{}" y="{}" text-anchor="start">right</text>'
        ).format(LEFT + SIDE, HEIGHT - 4, 4, TOP - 14)
    )
    return Markup("").join(lines)


def _key(index: int, name: str) -> Markup:
    x = LEFT + index * 100
    return Markup('<path class="line s{}" d="M{} {}h20"/><text class="tick" x="{}" y="{}">{}</text>').format(
        index, x, TOP - 18, x + 26, TOP - 14, name
    )


def _bins(index: int, bins: Sequence[ReliabilityBin]) -> Markup:
    total = sum(each.count for each in bins) or 1
    path = "M" + "L".join(f"{_x(each.confidence):g} {_y(each.accuracy):g}" for each in bins)
    dots = [
        Markup('<circle class="dot s{}" cx="{}" cy="{}" r="{:.1f}"><title>{}</title></circle>').format(
            index,
            _x(each.confidence),
            _y(each.accuracy),
            max(1.5, LARGEST * (each.count / total) ** 0.5),
            f"{count(each.count)} answers, {percent(each.confidence)} sure, {percent(each.accuracy)} right",
        )
        for each in bins
    ]
    line = Markup('<path class="line s{}" d="{}"/>').format(index, path) if len(bins) > 1 else Markup("")
    return line + Markup("").join(dots)


def _spoken(drawn: Sequence[tuple[str, CalibrationScores]]) -> str:
    errors = "; ".join(f"{name}, expected calibration error {percent(scores.ece)}" for name, scores in drawn)
    return f"Reliability diagram: {errors}"
