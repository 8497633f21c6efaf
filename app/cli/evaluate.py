"""``python -m app evaluate``: judge a version on labelled rows that it may never have seen."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors, output, print_json, table_of
from app.cli.datasets import SliceColumnsOption
from app.cli.run import Outcome
from app.client import Tunesmith
from app.ids import is_id
from app.schemas.batches import BATCH_ENDED
from app.schemas.evaluations import JudgedSplit, Judgement, VersionEvaluation
from app.schemas.models import Model

WAIT_SECONDS = 30.0


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME, NAME@ALIAS or NAME:VERSION.", show_default=False)],
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="The id of a dataset, or a file of labelled rows to upload.")
    ],
    split: Annotated[
        str | None, typer.Option(help="train, validation, test or all.", show_default="test; of a file all")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Of several tasks: which one the labels belong to.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for each row with its answer: .csv, else JSON Lines.")
    ] = None,
    slice_column: SliceColumnsOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Judge a version on the rows of a dataset: accuracy, F1, and the rows of each label that it mistakes."""
    is_dataset = is_id(rows, "ds")
    if not is_dataset and not Path(rows).is_file():
        raise typer.BadParameter(f"{rows} is neither a file nor the id of a dataset")
    if is_dataset and slice_column:
        raise typer.BadParameter("a stored dataset has its slice columns; --slice-column goes with a file")
    with connect(context) as service:
        name, version = _version_of(service, model)
        dataset = rows if is_dataset else service.upload_dataset(Path(rows), slice_columns=slice_column or None).id
        found = service.evaluate(name, version, dataset, split=_split(split, is_dataset=is_dataset), task=task)
        found = _wait(service, found)
        if found.status == "succeeded" and out is not None:
            service.download_answers(found.id, out, format="csv" if out.suffix.lower() == ".csv" else "jsonl")
    if as_json:
        print_json(found)
    else:
        _tell(found)
    return 0 if found.status == "succeeded" else 1


def _version_of(service: Tunesmith, reference: str) -> tuple[str, int]:
    """Find the number that a reference means now."""
    name, _, alias = reference.partition("@")
    name, _, number = name.partition(":")
    if number:
        if not number.isdecimal():
            raise typer.BadParameter(f"{reference}: a version is a number")
        return name, int(number)
    found: Model = service.model(name)
    if not alias:
        return name, found.serving_version
    known = {each.alias: each.version for each in found.aliases}
    if alias not in known:
        raise typer.BadParameter(f"{name} has no alias {alias}")
    return name, known[alias]


def _split(wanted: str | None, *, is_dataset: bool) -> JudgedSplit:
    match wanted:
        case "train" | "validation" | "test" | "all":
            return wanted
        case None:
            return "test" if is_dataset else "all"
    raise typer.BadParameter("a split is one of train, validation, test and all")


def _wait(service: Tunesmith, found: VersionEvaluation) -> VersionEvaluation:
    try:
        while found.status not in BATCH_ENDED:
            found = service.evaluation(found, seconds=WAIT_SECONDS)
    except KeyboardInterrupt:
        errors.print(f"The evaluation {found.id} goes on.")
        raise typer.Exit(Outcome.INTERRUPTED) from None
    return found


def _tell(found: VersionEvaluation) -> None:
    if found.judgement is None:
        errors.print(f"[bold red]{found.status}[/] {escape(found.status_reason)}")
        if found.error is not None:
            errors.print(f"  {escape(str(found.error.get('remedy') or ''))}")
        return
    judged = found.judgement
    scores = judged.scores
    rows = f"{scores.examples} rows, split {found.split}"
    output.print(f"[bold]{escape(f'{found.model}:{found.version}')}[/] on {found.dataset_id} ({rows})")
    output.print(f"  accuracy {scores.accuracy:.3f}{_interval(judged, 'accuracy')}")
    output.print(f"  macro F1 {scores.f1_macro:.3f}{_interval(judged, 'f1_macro')}")
    output.print(f"  weighted F1 {scores.f1_weighted:.3f}, loss {scores.loss:.3f}")
    table = table_of("label", "precision", "recall", "F1", "rows")
    for each in scores.per_class:
        numbers = (f"{each.precision:.3f}", f"{each.recall:.3f}", f"{each.f1:.3f}", str(each.support))
        table.add_row(escape(each.label), *numbers)
    output.print(table)
    if judged.slices:
        output.print(_slices(judged))
    if judged.refused:
        output.print(f"  {judged.refused} rows are too long for the version and were not judged.")
    for warning in found.warnings:
        output.print(f"  [yellow]{escape(warning.detail)}[/] {escape(warning.remedy or '')}")


def _slices(judged: Judgement) -> Table:
    table = table_of("slice", "", "accuracy", "macro F1", "rows")
    for each in judged.slices:
        numbers = (f"{each.accuracy:.3f}", f"{each.f1_macro:.3f}", str(each.rows))
        table.add_row(escape(each.slice), each.detail or "", *numbers)
    return table


def _interval(judged: Judgement, name: str) -> str:
    if judged.intervals is None:
        return ""
    interval = judged.intervals.accuracy if name == "accuracy" else judged.intervals.f1_macro
    return f" (95 %: {interval.low:.3f} to {interval.high:.3f})"
