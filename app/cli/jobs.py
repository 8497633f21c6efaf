"""``python -m app jobs``, ``job``, ``stop`` and ``cancel``."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, is_narrow, output, print_json, table_of
from app.cli.findings import in_full
from app.cli.live_view import COLOURS
from app.cli.program import program
from app.schemas.jobs import Job, Status

JobId = Annotated[str, typer.Argument(help="Id of the job.", show_default=False)]


def jobs(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this status.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs for this model.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List jobs, newest first."""
    filters = {name: value for name, value in (("status", status), ("model", model)) if value is not None}
    with connect(context) as service:
        found = list(service.jobs(limit=limit, **filters))
    if as_json:
        print_json(found)
        return
    output.print(_table(found) if found else f"No jobs. Start one with: {program()} train FILE --model NAME")


def job(context: typer.Context, job_id: JobId, as_json: JsonFlag = False) -> None:
    """Show one job: what was asked, what was decided, how it went."""
    with connect(context) as service:
        found = service.job(job_id)
    if as_json:
        print_json(found)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in _facts(found).items():
        table.add_row(f"[dim]{name}[/]", value)
    output.print(table)
    for resolution in found.resolutions:
        value = f"{resolution.value:g}" if isinstance(resolution.value, float) else str(resolution.value)
        output.print(f"[dim]{resolution.field} = {escape(value)}:[/] {escape(resolution.reason)}")
    for warning in found.warnings:
        output.print(f"[yellow]note[/] {escape(warning.detail)}")
    for diagnosis in found.diagnoses:
        for line in in_full(diagnosis):
            output.print(line)


def cancel(context: typer.Context, job_id: JobId, as_json: JsonFlag = False) -> None:
    """Ask a job to end: a queued one ends at once, a running one within seconds."""
    with connect(context) as service:
        _show_asked(service.cancel(job_id), as_json)


def stop(context: typer.Context, job_id: JobId, as_json: JsonFlag = False) -> None:
    """End a running job's training now and make a version of its best checkpoint so far."""
    with connect(context) as service:
        _show_asked(service.stop(job_id), as_json)


def _show_asked(found: Job, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        output.print(f"{found.id}: {_state(found)}  {escape(found.status_reason or '')}")


def _table(found: Sequence[Job]) -> Table:
    if is_narrow():
        table = table_of("job", "status", "model", "score")
        for item in found:
            best = item.metrics.best
            table.add_row(item.id, _state(item), _product(item), "-" if best is None else f"{best.value:.4f}")
        return table
    table = table_of("job", "status", "model", "base model", "score", "created")
    for item in found:
        base_model = escape(item.base_model.id)
        table.add_row(item.id, _state(item), _product(item), base_model, _score(item), ago(item.created_at))
    return table


def _facts(job: Job) -> dict[str, str]:
    facts = {
        "job": job.id,
        "status": f"{_state(job)}  {escape(job.status_reason or '')}",
        "model": _product(job),
        "base model": escape(f"{job.base_model.id} {job.base_model.revision or ''}".strip()),
        "dataset": f"{job.dataset.id}  " + ", ".join(f"{count} {split}" for split, count in job.dataset.counts.items()),
        "attempt": f"{job.attempt} of {job.max_attempts}",
        "best": _score(job),
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    if job.metrics.test is not None:
        facts["test"] = f"accuracy {job.metrics.test.accuracy:.4f}, f1_macro {job.metrics.test.f1_macro:.4f}"
    if job.error is not None:
        facts["error"] = escape(f"{job.error.get('code')}: {job.error.get('detail')} {job.error.get('remedy') or ''}")
    if job.usage.parts:
        facts["seconds"] = ", ".join(f"{part} {seconds:.1f}" for part, seconds in job.usage.parts.items())
    facts["settings"] = escape(", ".join(f"{name}={value}" for name, value in job.hyperparameters.items()))
    return facts


def _state(job: Job) -> str:
    words = f"{job.status} ({job.phase} {job.progress.fraction:.0%})" if job.phase else job.status
    return f"[{COLOURS.get(job.status, 'cyan')}]{words}[/]"


def _product(job: Job) -> str:
    return escape(job.model if job.result is None else f"{job.model}:{job.result.version}")


def _score(job: Job) -> str:
    best = job.metrics.best
    return "-" if best is None else f"{escape(best.name)} {best.value:.4f}"
