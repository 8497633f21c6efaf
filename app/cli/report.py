"""``python -m app report``: everything known of a job, on one page."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors
from app.cli.jobs import JobId

Form = Literal["md", "html", "json"]
_NAMES: dict[Form, Literal["markdown", "html", "json"]] = {"md": "markdown", "html": "html", "json": "json"}
_SUFFIXES: dict[str, Form] = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html", ".json": "json"}


def report(
    context: typer.Context,
    job_id: JobId,
    form: Annotated[
        Form | None, typer.Option("--format", help="What to write.", show_default="by the name of FILE, else md")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", dir_okay=False, help="Write to FILE, not to stdout.", show_default=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the report of a job: data, settings, curves, scores, mistakes and advice.

    Of a job that has not finished, what there is so far.
    """
    if as_json and form not in (None, "json"):
        raise typer.BadParameter("--json and --format exclude each other")
    chosen = "json" if as_json else form or (_SUFFIXES.get(file.suffix.lower(), "md") if file else "md")
    with connect(context) as service:
        text = service.report(job_id, _NAMES[chosen])
    if file is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from error
    errors.print(f"Wrote {file}")
