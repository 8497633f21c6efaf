"""``python -m app datasets import``: have a worker fetch a dataset."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors, output, print_json
from app.cli.datasets import (
    PANEL,
    DifficultyColumnOption,
    LabelDelimiterOption,
    LabelNamesOption,
    SliceColumnsOption,
    label_names_of,
    tell_dataset,
)
from app.cli.program import program
from app.client import Tunesmith
from app.schemas.sources import IMPORT_ENDED, Import, ImportRequest

RECIPES = ("twitter", "trustpilot")
PROCESSED = "processed:"

COLUMNS, RECIPE = PANEL, "Recipes"


def import_dataset(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A dataset of the hub (OWNER/NAME), twitter, trustpilot, or processed:PATH.", show_default=False
        ),
    ],
    name: Annotated[str | None, typer.Option(help="A name for people.", show_default=False)] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Configuration of the dataset on the hub.", rich_help_panel=COLUMNS, show_default=False),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit.", rich_help_panel=COLUMNS, show_default="the newest")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column with the texts.", rich_help_panel=COLUMNS, show_default="text")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column with the labels.", rich_help_panel=COLUMNS, show_default="label")
    ] = None,
    label_delimiter: LabelDelimiterOption = None,
    label_names: LabelNamesOption = None,
    difficulty_column: DifficultyColumnOption = None,
    slice_column: SliceColumnsOption = None,
    files_per_split: Annotated[
        int | None, typer.Option(help="Read only so many files of each split.", rich_help_panel=COLUMNS)
    ] = None,
    rows_per_split: Annotated[
        int | None, typer.Option(help="Keep only so many rows of each split.", rich_help_panel=COLUMNS)
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="trustpilot: rows in all.", rich_help_panel=RECIPE, show_default="10000")
    ] = None,
    synthetic_neutral: Annotated[
        bool | None, typer.Option(help="trustpilot: make neutral texts.", rich_help_panel=RECIPE, show_default="yes")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="trustpilot: decides which rows are drawn.", rich_help_panel=RECIPE)
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = True,
    as_json: JsonFlag = False,
) -> int:
    """Import a dataset: a worker fetches it, checks it and stores it with a record of where it came from."""
    options = {
        "config": config,
        "revision": revision,
        "text_column": text_column,
        "label_column": label_column,
        "label_delimiter": label_delimiter,
        "label_names": label_names_of(label_names),
        "difficulty_column": difficulty_column,
        "slice_columns": slice_column or None,
        "files_per_split": files_per_split,
        "rows_per_split": rows_per_split,
        "rows": rows,
        "synthetic_neutral": synthetic_neutral,
        "seed": seed,
    }
    wanted = source_of(source) | {option: value for option, value in options.items() if value is not None}
    with connect(context) as service:
        found = service.import_dataset(wanted, name=name)
        if wait:
            found = _follow(service, found, quiet=as_json)
        if as_json:
            print_json(found)
        else:
            _tell(service, found)
    return 1 if found.status == "failed" else 0


def recipe_dataset(service: Tunesmith, recipe: str) -> str:
    """Give the dataset that a recipe made, the newest there is; else have it made. Raises Exit when that fails."""
    wanted = ImportRequest.model_validate({"from": {"source": recipe}}).from_.model_dump(mode="json")
    known = (item for item in service.imports(limit=50) if item.from_ == wanted and item.dataset_id)
    found = next(known, None) or _follow(service, service.import_dataset({"source": recipe}), quiet=False)
    if found.dataset_id is None:
        _tell(service, found)
        raise typer.Exit(1)
    return found.dataset_id


def source_of(text: str) -> dict[str, Any]:
    """Read SOURCE: a recipe, a path of the operator's folder, or a dataset of the hub."""
    if text in RECIPES:
        return {"source": text}
    if text.startswith(PROCESSED):
        return {"source": "processed", "path": text.removeprefix(PROCESSED)}
    return {"source": "hub", "dataset": text}


def _follow(service: Tunesmith, found: Import, *, quiet: bool) -> Import:
    said = ""
    while found.status not in IMPORT_ENDED:
        if found.status_reason != said and not quiet:
            said = found.status_reason
            errors.print(escape(said))
        found = service.wait_for_import(found.id)
    return found


def _tell(service: Tunesmith, found: Import) -> None:
    if found.dataset_id is not None:
        tell_dataset(service.dataset(found.dataset_id))
    elif found.error is not None:
        errors.print(f"[bold red]failed[/] {escape(str(found.error.get('detail')))}")
        errors.print(f"  {escape(str(found.error.get('remedy') or ''))}")
    else:
        output.print(f"Queued [bold]{found.id}[/]. Look at it with: {program()} datasets imports")


def list_imports(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List imports, newest first, those that failed too."""
    with connect(context) as service:
        found = list(service.imports(limit=50))
    if as_json:
        print_json(found)
        return
    for item in found:
        output.print(f"{item.id}  {item.status:<9}  {escape(_named(item))}  {escape(item.status_reason)}")
    if not found:
        output.print(f"No imports yet. Begin one with: {program()} datasets import SOURCE")


def _named(item: Import) -> str:
    return str(item.from_.get("dataset") or item.from_.get("path") or item.from_["source"])
