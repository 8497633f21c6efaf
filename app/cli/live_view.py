"""The picture of a running job on a terminal: where it is, how it learns, and its evaluations so far."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.cli.console import clock
from app.cli.curve import drawn
from app.cli.findings import SEVERITIES, in_a_line
from app.cli.progress import RunProgress, Scores

COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}
SHOWN = ("loss", "accuracy", "f1_macro")
MOST_ROWS = 5
CURVE_WIDTH, CURVE_HEIGHT = 60, 4
BAR_WIDTH = 28
"""Leaves room for a long run's numbers beside it on a terminal of 80 columns."""


def picture(run: RunProgress) -> RenderableType:
    """Draw a run."""
    parts: list[RenderableType] = [_headline(run), _bar(run)]
    if run.progress.step:
        parts.append(_numbers(run))
    parts += _curves(run)
    if run.evaluations:
        parts += [Text("scores on the validation split", "dim"), _evaluations(run)]
    ending = run.ending()
    if ending is not None:
        parts.append(_words(ending, "dim"))
    parts += [_words(in_a_line(data), SEVERITIES.get(data["severity"], "dim")) for data in run.diagnoses]
    return Group(*parts)


def _words(text: str, style: str) -> Text:
    """Make a sentence that goes on in the next line: what is drawn live cannot be wrapped by the terminal."""
    return Text(text, style, no_wrap=False, overflow="fold")


def _headline(run: RunProgress) -> Text:
    job = run.job
    colour = COLOURS.get(run.status, "cyan")
    state = run.phase or run.status
    line = Text.assemble((state, f"bold {colour}"), "  ", (job.model, "bold"), f"  from {job.base_model.id}")
    if run.device:
        line.append(f"  on {run.device}")
    if run.attempt > 1:
        line.append(f"  attempt {run.attempt}", "yellow")
    if run.phase is None and run.reason and run.status != "succeeded":
        line.append(f"\n{run.reason}", "dim")
    line.no_wrap, line.overflow = False, "fold"
    return line


def _bar(run: RunProgress) -> RenderableType:
    step, total = run.progress.step, run.progress.total_steps
    grid = Table.grid(padding=(0, 1))
    pulsing = run.status == "running" and (total is None or run.phase in ("preparing", "evaluating", "exporting"))
    done = 100.0 if run.status == "succeeded" else 100.0 * step / total if total else 0.0
    bar = ProgressBar(total=100, completed=done, width=BAR_WIDTH, pulse=pulsing, finished_style="green")
    words = f"step {step}/{total}" if total else ""
    if run.progress.num_train_epochs:
        words += f"  epoch {run.progress.epoch:.1f}/{run.progress.num_train_epochs}"
    left = run.progress.eta_seconds
    if run.phase == "training" and left is not None:
        words += f"  ETA {clock(left)}"
    grid.add_row(bar, f"{done:3.0f} %", words)
    return grid


def _numbers(run: RunProgress) -> Text:
    progress = run.progress
    parts = []
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.learning_rate is not None:
        parts.append(f"lr {progress.learning_rate:.2e}")
    if progress.examples_per_second is not None:
        parts.append(f"{progress.examples_per_second:.0f} examples/s")
    return Text("   ".join(parts), "dim")


def _curves(run: RunProgress) -> list[RenderableType]:
    """Draw the training loss over the whole length of the run, and under it the score that picks the checkpoint."""
    last = float(run.progress.total_steps or run.progress.step)
    parts: list[RenderableType] = []
    scores = [(float(each.step), each.value) for each in run.evaluations]
    metric = run.evaluations[0].metric if run.evaluations else ""
    for name, points, style in (("training loss", run.losses, "cyan"), (f"validation {metric}", scores, "green")):
        lines = drawn(points, width=CURVE_WIDTH, height=CURVE_HEIGHT, last=last)
        if lines:
            parts += [Text(name, "dim"), Text("\n".join(lines), style, no_wrap=True)]
    return parts


def _evaluations(run: RunProgress) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    names = [*SHOWN, *([run.evaluations[0].metric] if run.evaluations[0].metric not in SHOWN else [])]
    for name in ("step", "epoch", *names):
        table.add_column(escape(name), justify="right")
    table.add_column("")
    for scores in run.evaluations[-MOST_ROWS:]:
        _add_row(table, scores, names, is_best=scores is run.best)
    return table


def _add_row(table: Table, scores: Scores, names: list[str], *, is_best: bool) -> None:
    values = [scores.metrics.get(name, scores.value if name == scores.metric else None) for name in names]
    cells = [str(scores.step), f"{scores.epoch:.1f}", *("-" if value is None else f"{value:.4f}" for value in values)]
    table.add_row(*cells, "★ best" if is_best else "", style="bold green" if is_best else None)
