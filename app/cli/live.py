"""``python -m app live`` and ``feedback``: how a version does on real calls, and whether an answer was right."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, output, print_json, table_of
from app.schemas.live import Live, LiveAccuracy, Window


def live(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[int, typer.Argument(min=1, help="The version.")],
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long each window of time is.")] = 24,
    windows: Annotated[int, typer.Option(min=1, max=100, help="How many windows.")] = 7,
    as_json: JsonFlag = False,
) -> None:
    """Show the accuracy of a version by feedback, and how far what it is asked is from its test rows."""
    with connect(context) as service:
        found = service.live(name, version, hours=hours, windows=windows)
    if as_json:
        print_json(found)
        return
    output.print(_accuracy(found.accuracy))
    output.print(_drift(found))
    if found.reference is None:
        output.print("The version was published without a reference, so nothing can be said of drift.")


def _accuracy(found: LiveAccuracy | None) -> str:
    if found is None:
        return "There is no feedback to logged answers."
    where = {"lower": "below", "higher": "above", "within": "around"}
    against = (
        ""
        if found.test_accuracy is None or found.compared is None
        else f", {where[found.compared]} the {found.test_accuracy:.4f} on its test rows"
    )
    span = f"95 % interval {found.interval.low:.4f} to {found.interval.high:.4f}"
    return f"{found.right} of {found.feedback} answers were right: {found.accuracy:.4f}, {span}{against}."


def _drift(found: Live) -> Table:
    table = table_of("until", "texts", "labels", "confidence", "tokens")
    for window in found.windows:
        table.add_row(f"{window.until:%Y-%m-%d %H:%M}", str(window.texts), *_cells(window))
    table.caption = "population stability index: below 0.1 stable, below 0.25 moderate, else large"
    return table


def _cells(window: Window) -> list[str]:
    cells = {item.of: f"{item.stability_index:.3f} {item.verdict}" for item in window.drift}
    return [cells.get(of, "-") for of in ("labels", "confidence", "tokens")]


def feedback(
    context: typer.Context,
    prediction: Annotated[str, typer.Argument(help="The id of the answer, pred_...")],
    labels: Annotated[
        list[str] | None,
        typer.Argument(help="The right label; of a multi-label version all right labels, or none.", show_default=False),
    ] = None,
    several: Annotated[bool, typer.Option("--set", help="The version gives any number of labels.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what the right label of a logged answer was; the last word counts."""
    given = labels or []
    if not several and len(given) != 1:
        raise typer.BadParameter("give one label, or --set with any number of them")
    with connect(context) as service:
        said = {"labels": given} if several else {"label": given[0]}
        found = service.feedback(prediction, **said)
    if as_json:
        print_json(found)
    else:
        word = "right" if found.right else "wrong"
        output.print(f"The answer of {escape(found.model)}:{found.version} was {word}.")
