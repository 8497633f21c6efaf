"""Plots of a run, as files that a person can open anywhere."""

import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.schemas.metrics import ClassScores, Evaluation
from app.store.metrics import Point
from worker.evaluation.plots import LINES, draw_plots

ALL = {f"{name}.{kind}" for name in ("loss", "metrics", "learning_rate", "confusion_matrix") for kind in ("svg", "png")}
SVG = "{http://www.w3.org/2000/svg}"


def curve(name: str, values: list[float], *, steps: int = 10) -> list[Point]:
    return [Point(name, steps * n, steps * n / 100, value) for n, value in enumerate(values, start=1)]


def run() -> list[Point]:
    return [
        *curve("train/loss", [0.2 + math.exp(-n / 40) for n in range(100)]),
        *curve("eval/loss", [1.0, 0.8, 0.7, 0.75], steps=100),
        *curve("eval/f1_macro", [0.4, 0.5, 0.6, 0.58], steps=100),
        *curve("eval/accuracy", [0.5, 0.6, 0.7, 0.68], steps=100),
        *curve("train/learning_rate", [2e-5 * n / 100 for n in range(100)]),
    ]


def evaluation(names: list[str]) -> Evaluation:
    size = len(names)
    matrix = [[8 if row == column else (row + column) % 3 for column in range(size)] for row in range(size)]
    return Evaluation(
        split="test",
        examples=sum(map(sum, matrix)),
        loss=0.5,
        accuracy=0.8,
        f1_macro=0.8,
        f1_weighted=0.8,
        precision_macro=0.8,
        precision_weighted=0.8,
        recall_macro=0.8,
        recall_weighted=0.8,
        per_class=[
            ClassScores(label=name, precision=0.8, recall=0.8, f1=0.8, support=sum(row))
            for name, row in zip(names, matrix, strict=True)
        ],
        confusion_matrix=matrix,
    )


def size_of(png: Path) -> tuple[int, int]:
    """Read width and height from the header, as every viewer does."""
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def words(svg: Path) -> list[str]:
    return [
        text for element in ElementTree.parse(svg).iter(f"{SVG}text") for text in element.itertext() if text.strip()
    ]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One full set of plots, in a folder that did not exist."""
    folder = tmp_path_factory.mktemp("run") / "made" / "plots"
    files = draw_plots(run(), folder, evaluation=evaluation(["ham", "spam"]), best_epoch=3.0, baseline=0.5)
    assert sorted(files) == sorted(folder.iterdir())
    return folder


def test_every_plot_is_written_in_both_formats(drawn: Path) -> None:
    assert {file.name for file in drawn.iterdir()} == ALL
    for file in drawn.iterdir():
        assert 5_000 < file.stat().st_size < 300_000
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag == f"{SVG}svg"
        else:
            width, height = size_of(file)
            assert 400 <= width <= 2400
            assert 400 <= height <= 2400
    assert size_of(drawn / "loss.png") == (1008, 604)


def test_the_words_are_words(drawn: Path) -> None:
    assert {"Loss", "train/loss", "eval/loss", "epoch", "kept checkpoint"} <= set(words(drawn / "loss.svg"))
    scores = words(drawn / "metrics.svg")
    assert {"eval/f1_macro", "eval/accuracy", "always the commonest label"} <= set(scores)
    assert {"ham", "spam", "predicted", "true", "8"} <= set(words(drawn / "confusion_matrix.svg"))


def test_the_same_run_gives_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    draw_plots(run(), tmp_path, evaluation=evaluation(["ham", "spam"]), best_epoch=3.0, baseline=0.5)
    for file in drawn.iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()


def test_the_metric_that_picks_the_checkpoint_is_drawn_first(tmp_path: Path) -> None:
    points = [*run(), *curve("eval/f1:spam", [0.1, 0.2, 0.3, 0.3], steps=100)]
    draw_plots(points, tmp_path, metric="f1:spam")

    names = [text for text in words(tmp_path / "metrics.svg") if text.startswith("eval/")]
    assert names == ["eval/f1:spam", "eval/f1_macro", "eval/accuracy"]


def test_only_what_there_is_data_for_is_drawn(tmp_path: Path) -> None:
    assert draw_plots([], tmp_path) == []
    assert {file.name for file in draw_plots(curve("eval/loss", [1.0]), tmp_path, metric="loss")} == {
        "loss.svg",
        "loss.png",
    }
    ragged = evaluation(["ham", "spam"]).model_copy(update={"confusion_matrix": [[1, 2]]})
    assert draw_plots([], tmp_path, evaluation=ragged) == []


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    files = draw_plots(curve("train/loss", [1.0, math.nan, math.inf, 0.5]), tmp_path)
    assert len(files) == 2
    assert draw_plots(curve("train/loss", [math.nan]), tmp_path) == []


def test_any_label_can_be_drawn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Scripts no font has, formulas, markup, and what only an old store may still hold: surrogates and NUL."""
    names = ["नेपाली", "平和", "🙂", "$x^{", "\\frac", "<svg>", "&amp;", "two\nlines", "x" * 200, "\ud800", "\x00"]
    scores = [ClassScores.model_construct(label=name, precision=0.0, recall=0.0, f1=0.0, support=1) for name in names]
    judged = evaluation(list("abcdefghijk")).model_copy(update={"per_class": scores})
    draw_plots([], tmp_path, evaluation=judged)

    shown = words(tmp_path / "confusion_matrix.svg")
    for name in (*names[:7], "two lines", "x" * 23 + "…"):
        assert shown.count(name) == 2
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_many_labels_make_a_picture_without_numbers(tmp_path: Path) -> None:
    draw_plots([], tmp_path, evaluation=evaluation([f"intent {number}" for number in range(77)]))

    assert max(size_of(tmp_path / "confusion_matrix.png")) <= 2500
    shown = words(tmp_path / "confusion_matrix.svg")
    assert "8" not in shown
    assert shown.count("intent 0") == 2
    assert "intent 1" not in shown  # every second name would cover the next


def test_curves_differ_in_more_than_colour() -> None:
    colours, dashes, markers = (set(column) for column in zip(*LINES, strict=True))
    assert len(colours) == len(dashes) == len(markers) == len(LINES)


def test_no_display_is_needed(tmp_path: Path) -> None:
    """A worker has neither a screen nor a home; even a request for a window system's backend must not matter."""
    code = (
        "import sys; from pathlib import Path; from app.store.metrics import Point;"
        "from worker.evaluation.plots import draw_plots;"
        "draw_plots([Point('train/loss', n, n / 10, 1 / n) for n in range(1, 20)], Path(sys.argv[1]));"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tkinter' not in sys.modules"
    )
    kept = {key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY", "HOME"}}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        env=kept | {"MPLBACKEND": "TkAgg", "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    assert {file.name for file in tmp_path.iterdir()} == {"loss.svg", "loss.png"}
