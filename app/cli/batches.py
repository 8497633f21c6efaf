"""``python -m app batch-predict``: a file of texts in, a file of answers out."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors, output, print_json
from app.cli.program import program
from app.cli.run import Outcome
from app.client import Tunesmith
from app.ids import is_id
from app.schemas.batches import BATCH_ENDED, BatchPrediction, ResultFormat

LOOK_SECONDS = 1.0


def batch_predict(
    context: typer.Context,
    texts: Annotated[
        str, typer.Argument(metavar="FILE", help="A file with a column of texts, or the id of a dataset.")
    ],
    model: Annotated[str, typer.Option(help="NAME, NAME@ALIAS or NAME:VERSION.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File of the answers: .csv, else JSON Lines.", show_default="FILE.answers.jsonl"
        ),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column with the texts.", show_default="text")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Give the k most probable labels.")] = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Give the probability of every label.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Classify every text of a file with one version of a model; a worker does it, and a lost one is resumed."""
    is_dataset = is_id(texts, "ds")
    if not is_dataset and not Path(texts).is_file():
        raise typer.BadParameter(f"{texts} is neither a file nor the id of a dataset")
    place = out or Path(f"{texts}.answers.jsonl")
    format: ResultFormat = "csv" if place.suffix.lower() == ".csv" else "jsonl"
    with connect(context) as service:
        found = service.batch_predict(
            model,
            texts if is_dataset else Path(texts),
            text_column=text_column,
            top_k=top_k,
            return_all_scores=all_scores,
        )
        found = _follow(service, found, quiet=as_json)
        if found.status == "succeeded":
            service.download_answers(found.id, place, format=format)
    if as_json:
        print_json(found)
    else:
        _tell(found, place)
    return 0 if found.status == "succeeded" else 1


def batches(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List batch predictions, newest first, those that failed too."""
    with connect(context) as service:
        found = list(service.batches(limit=50))
    if as_json:
        print_json(found)
        return
    for item in found:
        named = f"{item.model}:{item.version}"
        done = f"{item.progress.rows_done}/{item.progress.rows}"
        output.print(f"{item.id}  {item.status:<9}  {escape(named)}  {done}  {escape(item.status_reason)}")
    if not found:
        output.print(f"No batch predictions yet. Begin one with: {program()} batch-predict FILE --model NAME")


def _follow(service: Tunesmith, found: BatchPrediction, *, quiet: bool) -> BatchPrediction:
    """Show the progress until the end; Ctrl-C ends the showing and leaves the batch alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=errors, disable=quiet, transient=True) as bar:
            shown = bar.add_task(_words(found), total=found.progress.rows)
            while found.status not in BATCH_ENDED:
                time.sleep(LOOK_SECONDS if found.progress.rows_done else LOOK_SECONDS / 4)
                found = service.batch(found.id)
                bar.update(shown, completed=found.progress.rows_done, description=_words(found))
    except KeyboardInterrupt:
        errors.print(f"The batch {found.id} goes on. See it with: {program()} batches")
        raise typer.Exit(Outcome.INTERRUPTED) from None
    return found


def _words(found: BatchPrediction) -> str:
    speed = found.progress.rows_per_second
    return escape(found.status_reason if speed is None else f"{speed:.0f} rows/s")


def _tell(found: BatchPrediction, place: Path) -> None:
    if found.status == "succeeded":
        by = escape(f"{found.model}:{found.version}")
        output.print(f"[bold green]Done[/]: {found.progress.rows} rows by {by} in {escape(str(place))}")
    else:
        errors.print(f"[bold red]{found.status}[/] {escape(found.status_reason)}")
        if found.error is not None:
            errors.print(f"  {escape(str(found.error.get('remedy') or ''))}")
