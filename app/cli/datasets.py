"""``python -m app datasets`` and ``upload``: what is there to train on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, errors, output, print_json, size, table_of
from app.cli.program import program
from app.schemas.datasets import Dataset, FileFormat

PANEL = "Reading the file"

TextColumnOption = Annotated[
    str | None, typer.Option(help="Column with the texts.", rich_help_panel=PANEL, show_default="text")
]
LabelColumnOption = Annotated[
    str | None, typer.Option(help="Column with the labels.", rich_help_panel=PANEL, show_default="label")
]
SplitColumnOption = Annotated[
    str | None,
    typer.Option(
        help="Column with train, validation, test.", rich_help_panel=PANEL, show_default="split, if there is one"
    ),
]
LabelDelimiterOption = Annotated[
    str | None,
    typer.Option(
        help="What parts several labels of a row, such as '|': makes it multi-label.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
DifficultyColumnOption = Annotated[
    str | None,
    typer.Option(help="Column with a number: how hard a row is.", rich_help_panel=PANEL, show_default="none is kept"),
]
SliceColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--slice-column",
        help="Column that groups rows, such as source: versions are judged on each group. May be repeated.",
        rich_help_panel=PANEL,
        show_default="none is kept",
    ),
]
LabelNamesOption = Annotated[
    str | None,
    typer.Option(
        help='Names of the labels 0, 1, 2, ...: negative,neutral,positive; or a JSON object {"value": "name"}.',
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
FormatOption = Annotated[
    FileFormat | None,
    typer.Option("--format", help="Only if the content does not tell.", rich_help_panel=PANEL, show_default=False),
]
ValidationFractionOption = Annotated[
    float | None,
    typer.Option(help="Share held out for validation.", rich_help_panel=PANEL, show_default="0.1"),
]
TestFractionOption = Annotated[
    float | None,
    typer.Option(help="Share held out for the final test.", rich_help_panel=PANEL, show_default="0.1"),
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the split.", rich_help_panel=PANEL, show_default="42")]


def datasets(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List datasets, newest first. See also: datasets import SOURCE, datasets imports."""
    with connect(context) as service:
        found = list(service.datasets(limit=limit))
    if as_json:
        print_json(found)
        return
    table = table_of("dataset", "name", "rows", "labels", "size", "uploaded")
    for item in found:
        labels = ", ".join(item.labels[:4]) + (f" +{len(item.labels) - 4}" if len(item.labels) > 4 else "")
        table.add_row(
            item.id, escape(item.name or "-"), str(item.rows), escape(labels), size(item.bytes), ago(item.created_at)
        )
    output.print(table if found else f"No datasets yet. Upload one with: {program()} upload FILE")


def upload(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, TSV, JSON, JSONL or Parquet.")],
    name: Annotated[str | None, typer.Option(help="A name for people.", show_default=False)] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    split_column: SplitColumnOption = None,
    label_delimiter: LabelDelimiterOption = None,
    difficulty_column: DifficultyColumnOption = None,
    slice_column: SliceColumnsOption = None,
    label_names: LabelNamesOption = None,
    file_format: FormatOption = None,
    validation_fraction: ValidationFractionOption = None,
    test_fraction: TestFractionOption = None,
    split_seed: SeedOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Upload a dataset and show what was found in it."""
    with connect(context) as service:
        dataset = service.upload_dataset(
            file,
            name=name,
            text_column=text_column,
            label_column=label_column,
            split_column=split_column,
            label_delimiter=label_delimiter,
            difficulty_column=difficulty_column,
            slice_columns=slice_column or None,
            label_names=label_names_of(label_names),
            format=file_format,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            seed=split_seed,
        )
    if as_json:
        print_json(dataset)
    else:
        tell_dataset(dataset)


def label_names_of(text: str | None) -> Sequence[str] | Mapping[str, str] | None:
    """Read label names: a list with commas, or JSON. Raises BadParameter."""
    if text is None or not text.lstrip().startswith(("[", "{")):
        return None if text is None else [name.strip() for name in text.split(",")]
    try:
        names: Sequence[str] | Mapping[str, str] = json.loads(text)
    except ValueError:
        raise typer.BadParameter("label names are written a,b,c or as JSON") from None
    return names


def tell_dataset(dataset: Dataset) -> None:
    """Say what a dataset holds, and what a careful person would look at."""
    splits = ", ".join(f"{count} {split}" for split, count in dataset.counts.items() if count)
    output.print(f"Dataset [bold]{dataset.id}[/]")
    output.print(f"  {dataset.rows} rows: {splits}")
    output.print(f"  labels: {escape(', '.join(dataset.labels))}")
    for warning in dataset.profile.warnings:
        remedy = f" {warning.remedy}" if warning.remedy else ""
        errors.print(f"  [yellow]note[/] {escape(warning.detail + remedy)}")
