"""``python -m app logs``: what happened to a job, and its files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, output, print_json, size, table_of
from app.client import Tunesmith
from app.schemas.artifacts import JobArtifact


def logs(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="Id of the job.")],
    tail: Annotated[int | None, typer.Option(min=1, help="Only this many lines.", show_default="all")] = None,
    files: Annotated[bool, typer.Option("--files", help="List the job's files instead.")] = False,
    download: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Download this file; may be repeated.")
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder to download to.", file_okay=False)] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Print the log of a job so far, list its files, or download some of them."""
    with connect(context) as service:
        if download:
            _download(service, job, download, to)
        elif files or as_json:
            found = service.artifacts(job)
            print_json(found) if as_json else output.print(_table(found))
        else:
            output.print(escape(service.logs(job, tail=tail)), end="", soft_wrap=True, highlight=False)


def _download(service: Tunesmith, job: str, names: list[str], to: Path) -> None:
    known = {artifact.name: artifact for artifact in service.artifacts(job)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"the job has no file {unknown[0]}; --files lists them")
    to.mkdir(parents=True, exist_ok=True)
    for name in names:
        # Names of the service are no paths here: only their last part is used.
        place = service.download_artifact(known[name], to / name.rpartition("/")[2])
        output.print(f"{escape(name)} is in [bold]{escape(str(place))}[/]")


def _table(found: list[JobArtifact]) -> object:
    table = table_of("file", "kind", "size")
    for artifact in found:
        table.add_row(escape(artifact.name), artifact.kind, "-" if artifact.bytes is None else size(artifact.bytes))
    return table
