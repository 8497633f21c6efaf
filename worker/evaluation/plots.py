"""Plots of a run as files: loss, metrics, learning rate, confusion matrix, each as SVG and PNG. Needs no display."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from app.doctor.history import Curve, History, Measured
from app.schemas.metrics import Evaluation
from worker.evaluation.excerpts import excerpt

FORMATS = ("svg", "png")
DPI = 144
# Okabe and Ito's palette, told apart by people with any kind of colour vision; line styles and markers differ, too.
LINES: tuple[tuple[str, str, str], ...] = (
    ("#0072b2", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", ":", "^"),
    ("#cc79a7", "-.", "D"),
)
GREY = "#5b6675"
MOST_MARKERS = 40
MOST_NUMBERS = 20
"""A larger confusion matrix is drawn without its counts."""
MOST_NAMES = 60
LONGEST_NAME = 24
DARK = 0.2
"""Luminance below which white is easier to read than black."""
SCORES = ("eval/f1_macro", "eval/accuracy", "eval/f1_weighted")
FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans Devanagari", "Noto Sans Arabic", "Noto Sans CJK SC", "Noto Sans CJK JP")


def draw_plots(
    points: Iterable[Measured],
    folder: Path,
    *,
    evaluation: Evaluation | None = None,
    metric: str = "f1_macro",
    best_epoch: float | None = None,
    baseline: float | None = None,
) -> list[Path]:
    """Write every plot that there is data for into ``folder``, which is made if need be; give the files.

    ``metric`` picks the checkpoint, which is that of ``best_epoch``; ``baseline`` is the accuracy of always answering
    the commonest label. Files of an earlier call are replaced.
    """
    history = History(points)
    losses = _curves(history, ["train/loss", "eval/loss"])
    scores = _curves(history, [name for name in dict.fromkeys([f"eval/{metric}", *SCORES]) if name != "eval/loss"])
    rates = _curves(history, ["train/learning_rate"])
    drawings: dict[str, Callable[[], Figure]] = {}
    if losses:
        drawings["loss"] = lambda: _lines("Loss", losses, best_epoch=best_epoch)
    if scores:
        drawings["metrics"] = lambda: _lines("Validation scores", scores, best_epoch=best_epoch, baseline=baseline)
    if rates:
        drawings["learning_rate"] = lambda: _lines("Learning rate", rates, noisy=False)
    if evaluation is not None and _is_square(evaluation):
        drawings["confusion_matrix"] = lambda: _matrix(evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    with _style():
        return [file for name, draw in drawings.items() for file in _save(draw(), folder / name)]


def _curves(history: History, names: Iterable[str]) -> list[Curve]:
    return [curve for name in names if len(curve := history.curve(name))]


def _is_square(evaluation: Evaluation) -> bool:
    width = len(evaluation.per_class)
    return width > 0 and [len(row) for row in evaluation.confusion_matrix] == [width] * width


def _lines(
    title: str,
    curves: Sequence[Curve],
    *,
    best_epoch: float | None = None,
    baseline: float | None = None,
    noisy: bool = True,
) -> Figure:
    """Draw curves over epochs; a long noisy one faintly, with its averages on top."""
    figure, axes = _figure(7.0, 4.2, title)
    for number, curve in enumerate(curves):
        colour, dashes, marker = LINES[number % len(LINES)]
        few = len(curve) <= MOST_MARKERS
        if not few and noisy:
            axes.plot(_epochs(curve), curve.values, color=colour, linewidth=0.8, alpha=0.35)
        shown = curve if few or not noisy else curve.buckets(MOST_MARKERS)
        axes.plot(
            _epochs(shown),
            shown.values,
            color=colour,
            linestyle=dashes,
            marker=marker if few else "",
            label=curve.name,
        )
    if baseline is not None:
        axes.axhline(baseline, color=GREY, linestyle=(0, (4, 4)), linewidth=1, label="always the commonest label")
    if best_epoch is not None:
        axes.axvline(best_epoch, color=GREY, linestyle=(0, (1, 2)), linewidth=1.2, label="kept checkpoint")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color="#dfe3e9", linewidth=0.8)
    axes.legend(frameon=False)
    return figure


def _matrix(evaluation: Evaluation) -> Figure:
    counts = np.array(evaluation.confusion_matrix, dtype=np.float64)  # (true labels, predicted labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.6, 0.62 * len(counts) + 2.0), 16.0)
    figure, axes = _figure(side + 0.8, side, f"Confusion matrix, {evaluation.split} split")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_short(scores.label) for scores in evaluation.per_class]
    shown = range(0, len(names), -(-len(names) // MOST_NAMES))
    axes.set_xticks(shown, [names[index] for index in shown], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(shown, [names[index] for index in shown])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    if len(names) <= MOST_NUMBERS:
        _write_counts(axes, counts, shares, image.cmap)
    return figure


def _write_counts(axes: Axes, counts: NDArray[np.float64], shares: NDArray[np.float64], colours: Colormap) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        red, green, blue, _ = colours(share)
        luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        ink = "white" if luminance < DARK else "#1b2330"
        words = f"{count:.0f}\n{share:.0%}".replace("%", " %")
        axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=8.5, linespacing=1.1)


def _epochs(curve: Curve) -> list[float]:
    return [point.epoch for point in curve.points]


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Make a figure of its own, in inches, known to no window system and to no global list of figures."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, stem: Path) -> list[Path]:
    """Write both formats, free of dates and versions: the same run gives the same bytes."""
    files = [stem.with_suffix(f".{kind}") for kind in FORMATS]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box in the PNG; the SVG keeps the text itself
        figure.savefig(files[0], metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # everything has found its place
        figure.savefig(files[1], dpi=DPI, metadata={"Software": None})
    return files


def _style() -> AbstractContextManager[None]:
    return rc_context(
        {
            "font.family": [name for name in FONTS if name in _installed()] or ["sans-serif"],
            "font.size": 10,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "text.parse_math": False,  # a label like "$5 or $10" is no formula
            "svg.fonttype": "none",
            "svg.hashsalt": "tunesmith",
        }
    )


@cache
def _installed() -> frozenset[str]:
    return frozenset(font.name for font in fontManager.ttflist)


def _short(name: str) -> str:
    shown = excerpt(name)
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"
