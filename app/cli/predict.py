"""``python -m app predict``: texts in, labels out."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors, output, print_json, table_of
from app.schemas.predictions import Prediction, Prefer


def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME, NAME@ALIAS or NAME:VERSION.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="What to classify; without any, the lines of stdin.", show_default=False)
    ] = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Show the probability of every label.")] = False,
    prefer: Annotated[
        Prefer | None,
        typer.Option(help="Which format is to answer: speed or accuracy; by default the one that the job chose."),
    ] = None,
    routing_key: Annotated[
        str | None,
        typer.Option(help="Who asks: an alias with a canary answers the same key by the same version."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify texts with a model."""
    if not texts and sys.stdin.isatty():
        errors.print("[dim]Type texts, one a line; Ctrl-D ends them.[/]")
    inputs = texts or [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not inputs:
        raise typer.BadParameter("there is no text to classify")
    with connect(context) as service:
        answer = service.predict(model, inputs, return_all_scores=all_scores, prefer=prefer, routing_key=routing_key)
    if as_json:
        print_json(answer)
    else:
        output.print(predictions_table(inputs, answer.predictions))


def predictions_table(texts: Sequence[str], predictions: Sequence[Prediction]) -> Table:
    """Draw texts beside their labels."""
    table = table_of("label", "score", "text")
    for text, prediction in zip(texts, predictions, strict=True):
        names = [prediction.label] if prediction.labels is None else prediction.labels
        label = f"[bold]{escape(', '.join(names))}[/]" if names else "[dim]none[/]"
        table.add_row(label, f"{prediction.score:.3f}", escape(text))
        for other, score in list((prediction.scores or {}).items())[1:]:
            table.add_row(f"[dim]{escape(other)}[/]", f"[dim]{score:.3f}[/]", "")
        for task, answer in (prediction.tasks or {}).items():
            table.add_row(f"{task}: [bold]{escape(answer.label)}[/]", f"{answer.score:.3f}", "")
            for other, score in list((answer.scores or {}).items())[1:]:
                table.add_row(f"[dim]{task}: {escape(other)}[/]", f"[dim]{score:.3f}[/]", "")
    return table
