"""Follow a job to its end on whatever stdout is, and say how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.live import Live
from rich.markup import escape

from app.cli.console import clock, errors, output
from app.cli.live_view import picture
from app.cli.plain_view import PlainView
from app.cli.program import program
from app.cli.progress import RunProgress
from app.cli.run import Outcome
from app.client import Tunesmith
from app.schemas.jobs import Job
from app.schemas.metrics import Evaluation


@contextmanager
def left_alone(job_id: str) -> Iterator[None]:
    """End with a word on Ctrl-C: what was interrupted is the looking, and the job goes on."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print(f"The job goes on. Follow it again, or cancel it, with:\n  {program()} watch {job_id}")
        errors.print(f"  {program()} cancel {job_id}")
        raise typer.Exit(Outcome.INTERRUPTED) from None


def follow(service: Tunesmith, job_id: str) -> Job:
    """Show a job until it has ended, from its first event on. Ctrl-C ends the showing and leaves the job alone."""
    with left_alone(job_id):
        run = RunProgress(service.job(job_id))
        if output.is_terminal:
            _live(service, run)
        else:
            _plain(service, run)
        return service.job(job_id)


def _live(service: Tunesmith, run: RunProgress) -> None:
    with Live(picture(run), console=output, refresh_per_second=8, transient=False) as live:
        for event in service.events(run.job.id):
            run.apply(event)
            live.update(picture(run))


def _plain(service: Tunesmith, run: RunProgress) -> None:
    view = PlainView(run)
    for event in service.events(run.job.id):
        run.apply(event)
        for line in view.lines(event):
            output.print(escape(line), soft_wrap=True)


def tell_result(service: Tunesmith, job: Job) -> None:
    """Say what a finished job left behind, or why it left nothing."""
    if job.result is None:
        _tell_failure(job)
        return
    took = ""
    if job.started_at is not None and job.finished_at is not None:
        took = f" in {clock((job.finished_at - job.started_at).total_seconds())}"
    output.print(f"\n[bold green]Done[/]{took}: [bold]{escape(job.result.model)}[/] version {job.result.version}")
    for evaluation in (job.metrics.validation, job.metrics.test):
        if evaluation is not None:
            output.print(_scores(evaluation))
    output.print(f"  {_baseline(service, job)}", style="dim")
    output.print(f"  report: {program()} report {job.id}", style="dim")


def _baseline(service: Tunesmith, job: Job) -> str:
    baseline = service.dataset(job.dataset.id).profile.majority_baseline
    if job.metrics.validation is not None and job.metrics.validation.hamming_loss is not None:
        return f"always answering the commonest set of labels would get {baseline:.2f} all right"
    return f"always answering the commonest label would score {baseline:.2f} accuracy"


def _scores(evaluation: Evaluation) -> str:
    if evaluation.hamming_loss is not None:
        return (
            f"  {evaluation.split:<10} {evaluation.examples} texts: all labels right {evaluation.accuracy:.4f}, "
            f"f1_micro {evaluation.f1_micro or 0:.4f}, f1_macro {evaluation.f1_macro:.4f}, loss {evaluation.loss:.4f}"
        )
    return (
        f"  {evaluation.split:<10} {evaluation.examples} texts: accuracy {evaluation.accuracy:.4f}, "
        f"f1_macro {evaluation.f1_macro:.4f}, loss {evaluation.loss:.4f}"
    )


def _tell_failure(job: Job) -> None:
    colour = "red" if job.status == "failed" else "yellow"
    error = job.error or {}
    reason = error.get("detail") or job.status_reason or ""
    errors.print(f"[bold {colour}]{job.status}[/] {escape(str(reason))}")
    if error.get("remedy"):
        errors.print(f"  {escape(str(error['remedy']))}")
