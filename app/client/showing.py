"""The progress of a job that is waited for: a bar in a terminal or a notebook, nothing in a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from app.schemas.jobs import Job

See = Callable[[Job], None]


@contextmanager
def shown(job: Job, wanted: bool | None) -> Iterator[See | None]:
    """Give what is to be called with each news of the job; None where nobody would look at a bar."""
    notebook = _notebook()
    if wanted is False or (wanted is None and notebook is None and not sys.stderr.isatty()):
        yield None
    elif notebook is not None:
        yield _in_notebook(notebook, job)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(escape_markup(words(job)), total=1.0)
            yield lambda news: bar.update(
                task, completed=news.progress.fraction, description=escape_markup(words(news))
            )


def words(job: Job) -> str:
    """Say in a line where a job is: its phase, its newest loss and best score, or how it ended."""
    if job.status == "failed":
        error = job.error or {}
        return f"{job.model}: failed. {error.get('detail', '')} {error.get('remedy') or ''}".rstrip()
    if job.result is not None:
        return f"{job.model}: version {job.result.version}{_best(job)}"
    loss = "" if job.progress.loss is None else f", loss {job.progress.loss:.4f}"
    return f"{job.model}: {job.phase or job.status}{loss}{_best(job)}"


def _best(job: Job) -> str:
    best = job.metrics.best
    return "" if best is None else f", {best.name} {best.value:.4f}"


def _notebook() -> Any:
    """Give the display module of the notebook that this runs in, if it does; nothing is imported for that."""
    shell = sys.modules.get("IPython.core.getipython")
    found = None if shell is None else shell.get_ipython()
    # Only a kernel shows HTML; IPython in a terminal has none.
    return sys.modules.get("IPython.display") if hasattr(found, "kernel") else None


def _in_notebook(display: Any, job: Job) -> See:
    handle = display.display(display.HTML(_html(job)), display_id=True)
    return lambda news: handle.update(display.HTML(_html(news)))


def _html(job: Job) -> str:
    return f'<progress value="{job.progress.fraction:.3f}" max="1"></progress> {escape(words(job))}'
