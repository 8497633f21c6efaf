"""``python -m app compare``: jobs side by side, what differs in their settings and what came of it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, clock, output, print_json, table_of
from app.schemas.jobs import Job
from app.schemas.metrics import Evaluation

SCORES = ("accuracy", "f1_macro", "f1_weighted", "f1_micro", "loss")
SMALLER_IS_BETTER = frozenset({"loss"})


class Line(BaseModel):
    """One thing, and what it is in each job; null: a job has none."""

    name: str
    values: list[Any]


class Comparison(BaseModel):
    """Jobs side by side, in the order in which they were named."""

    jobs: list[str]
    same_rows: bool
    """Whether all learned from the same rows; scores of others are judged on other rows."""
    settings: list[Line]
    """The settings that are not the same in all of them."""
    scores: list[Line]
    """Scores on the validation and the test split."""
    usage: list[Line]
    """What they cost."""


def compare(
    context: typer.Context,
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB...", help="Two jobs or more.", show_default=False)],
    as_json: JsonFlag = False,
) -> None:
    """Put jobs side by side: the settings that differ, the data, the scores."""
    if len(set(job_ids)) < 2:
        raise typer.BadParameter("name two jobs or more; jobs lists them")
    with connect(context) as service:
        found = comparison([service.job(job_id) for job_id in job_ids])
    if as_json:
        print_json(found)
        return
    output.print(_table(found))
    if not found.settings:
        output.print("Their settings are the same.")
    if not found.same_rows:
        output.print("They learned from different rows, and were judged on different ones.")


def comparison(jobs: Sequence[Job]) -> Comparison:
    """Compare jobs."""
    settings = [_flat(job) for job in jobs]
    names = dict.fromkeys(name for each in settings for name in each)
    lines = [Line(name=name, values=[each.get(name) for each in settings]) for name in names]
    return Comparison(
        jobs=[job.id for job in jobs],
        same_rows=len({job.dataset.sha256 for job in jobs}) == 1,
        settings=[line for line in lines if any(value != line.values[0] for value in line.values)],
        scores=[*_scores(jobs, "validation"), *_scores(jobs, "test")],
        usage=_filled([_line("train_seconds", jobs, lambda job: job.usage.train_seconds)]),
    )


def _flat(job: Job) -> dict[str, Any]:
    """Write the settings of a job as one mapping, such as ``text.urls``."""
    parts = {"family": job.family_options, "text": job.text, "export": job.export, "decision": job.decision}
    found: dict[str, Any] = {
        "status": job.status,
        "model": job.model if job.result is None else f"{job.model}:{job.result.version}",
        "profile": job.profile,
        "base_model": f"{job.base_model.id} {job.base_model.revision or ''}".strip(),
        "rows": job.dataset.counts,
        **job.hyperparameters,
    }
    for name, part in parts.items():
        found |= {f"{name}.{key}": value for key, value in part.model_dump(mode="json").items()}
    return found


def _scores(jobs: Sequence[Job], split: str) -> list[Line]:
    def score_of(name: str) -> Callable[[Job], Any]:
        def read(job: Job) -> Any:
            found: Evaluation | None = getattr(job.metrics, split)
            return None if found is None else getattr(found, name)

        return read

    lines = {name: _line(f"{split}/{name}", jobs, score_of(name)) for name in SCORES}
    if lines["f1_micro"].values == lines["accuracy"].values:
        del lines["f1_micro"]  # of single labels they are the same number
    return _filled(list(lines.values()))


def _line(name: str, jobs: Sequence[Job], read: Callable[[Job], Any]) -> Line:
    return Line(name=name, values=[read(job) for job in jobs])


def _filled(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if any(value is not None for value in line.values)]


def _table(found: Comparison) -> Table:
    table = table_of("", *(f"…{job_id[-8:]}" for job_id in found.jobs))
    titled = (("differs", found.settings, _words), ("score", found.scores, _score), ("cost", found.usage, _seconds))
    for title, lines, write in titled:
        if lines:
            table.add_row(f"[dim]{title}[/]")
        for line in lines:
            best = _best(line) if title == "score" else None
            cells = [write(value) for value in line.values]
            marked = (f"[bold green]{cell}[/]" if place == best else cell for place, cell in enumerate(cells))
            table.add_row(f"  {line.name}", *marked)
    return table


def _best(line: Line) -> int | None:
    """Say which value is the best one; None where there is nothing to choose from."""
    known = [value for value in line.values if value is not None]
    if len(set(known)) < 2:
        return None
    smaller = line.name.rpartition("/")[2] in SMALLER_IS_BETTER
    return line.values.index(min(known) if smaller else max(known))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return escape(", ".join(f"{key} {part}" for key, part in value.items()))
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else escape(str(value))


def _score(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}"


def _seconds(value: Any) -> str:
    return clock(value)
