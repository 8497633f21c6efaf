"""``python -m app watch``: follow a job that runs already."""

from typing import Annotated

import typer

from app.cli.connection import connect
from app.cli.console import JsonFlag
from app.cli.following import follow, left_alone, tell_result


def watch(
    context: typer.Context,
    job_id: Annotated[str | None, typer.Argument(help="The newest job, if left out.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> int:
    """Follow a job until it ends: phase, progress, scores. With --json: its events, one a line."""
    with connect(context) as service:
        if job_id is None:
            newest = next(service.jobs(limit=1), None)
            if newest is None:
                raise typer.BadParameter("there is no job to watch yet; train FILE --model NAME begins one")
            job_id = newest.id
        if as_json:
            with left_alone(job_id):
                for event in service.events(job_id):
                    typer.echo(event.model_dump_json())
            return 0 if service.job(job_id).status == "succeeded" else 1
        job = follow(service, job_id)
        tell_result(service, job)
    return 0 if job.status == "succeeded" else 1
