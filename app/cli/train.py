"""``python -m app train``: upload a dataset, train on it, watch."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from app.cli import flags
from app.cli.connection import connect
from app.cli.console import JsonFlag, output, print_json
from app.cli.datasets import (
    DifficultyColumnOption,
    FormatOption,
    LabelColumnOption,
    LabelDelimiterOption,
    LabelNamesOption,
    SeedOption,
    SliceColumnsOption,
    SplitColumnOption,
    TestFractionOption,
    TextColumnOption,
    ValidationFractionOption,
    label_names_of,
    tell_dataset,
)
from app.cli.following import follow, left_alone, tell_result
from app.cli.imports import RECIPES
from app.cli.program import program
from app.cli.wishes import dataset_of, family_of, job_of, model_of, pairs_of, without_none
from app.client import Tunesmith
from app.schemas.families import FAMILY_NAMES
from app.schemas.jobs import DEFAULT_BASE_MODEL, ExportFormat, Job, Queue, ServedFormat
from app.schemas.profiles import ProfileName


def kinds(choice: object) -> str:
    """Write the values of a Literal as a flag's metavar."""
    return "|".join(get_args(choice))


def _train(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="CSV, TSV, JSON, JSONL or Parquet.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name in the registry; made when it does not exist yet.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A job in YAML or JSON; flags that are given win over it.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="An uploaded dataset, instead of FILE; or a recipe, which is imported.",
            metavar=f"ID|{'|'.join(RECIPES)}",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="A set of defaults; flags that are given win over it.",
            metavar=kinds(ProfileName),
            show_default=False,
        ),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            "--base-model",
            "--model-name",
            help=f"Hub id, configured folder, minilm-l6, or model:NAME[@ALIAS|:N]. Default: {DEFAULT_BASE_MODEL}.",
            show_default=False,
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            help=f'{", ".join(FAMILY_NAMES)}; or an object with options: \'{{"type": "textcnn", "dropout": 0.3}}\'. '
            "Default: encoder.",
            metavar="NAME|JSON",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            help="Format to export; may be repeated. Without a value: onnx and torchscript.",
            metavar=kinds(ExportFormat),
            show_default="onnx",
        ),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            help="Format that answers predictions.", metavar=f"auto|{kinds(ServedFormat)}", show_default="onnx"
        ),
    ] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option("--calibrate/--no-calibrate", help="Fit a temperature on the validation split. Default: yes."),
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(help="Mark answers with a lower probability as abstained.", min=0, max=1, show_default=False),
    ] = None,
    default_top_k: Annotated[
        int | None,
        typer.Option(help="Probabilities that an answer shows by default.", min=1, show_default=False),
    ] = None,
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
    priority: Annotated[
        int | None,
        typer.Option(help="Higher runs sooner: a point is worth a minute of waiting.", show_default="0"),
    ] = None,
    queue: Annotated[
        Queue | None,
        typer.Option(
            help="Who may take it: any worker, only those with a GPU, or only those without.", show_default="default"
        ),
    ] = None,
    baselines: Annotated[
        bool | None,
        typer.Option("--baselines/--no-baselines", help="Also train simple models to compare with. Default: yes."),
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="A pair of your own; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    wait: Annotated[bool, typer.Option(help="Follow the job until it ends.")] = True,
    as_json: JsonFlag = False,
    **more: flags.Value,
) -> int:
    """Train a model on FILE, or on a dataset that was uploaded before.

    Ctrl-C ends the watching, not the job.
    """
    given = {
        "model": model,
        "profile": profile,
        "base_model": base_model,
        "family": family_of(family),
        "export": without_none({"formats": export or None, "serve": serve}),
        "decision": without_none({"abstain_below": abstain_below, "top_k": default_top_k, "calibrate": calibrate}),
        "baselines": baselines,
        "priority": priority,
        "queue": queue,
        "metadata": pairs_of(metadata),
    }
    job = job_of(config, given, more)
    name = model_of(job, dataset or job.dataset)
    reading: dict[str, Any] = {
        "text_column": text_column,
        "label_column": label_column,
        "split_column": split_column,
        "label_delimiter": label_delimiter,
        "difficulty_column": difficulty_column,
        "slice_columns": slice_column or None,
        "label_names": label_names_of(label_names),
        "format": file_format,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": split_seed,
    }
    with connect(context) as service:
        rows = dataset_of(service, job, file, dataset)
        if isinstance(rows, Path):
            rows = _upload(service, rows, job.reading | (without_none(reading) or {}), quiet=as_json)
        if dry_run:
            print_json(service.validate(name, rows, **job.request))
            return 0
        return finish(service, service.train(name, rows, **job.request), wait, as_json)


def _upload(service: Tunesmith, file: Path, reading: dict[str, Any], *, quiet: bool) -> str:
    uploaded = service.upload_dataset(file, **reading)
    if not quiet:
        tell_dataset(uploaded)
    return uploaded.id


def finish(service: Tunesmith, job: Job, wait: bool, as_json: bool) -> int:
    """Follow a new job, or just say that it is there; gives the exit status."""
    if not wait:
        if as_json:
            print_json(job)
        else:
            output.print(f"Queued [bold]{job.id}[/]. Follow it with: {program()} watch {job.id}")
        return 0
    if as_json:
        with left_alone(job.id):
            job = service.wait(job.id)
        print_json(job)
    else:
        output.print(f"Training [bold]{job.model}[/] from {escape(job.base_model.id)} as {job.id}")
        job = follow(service, job.id)
        tell_result(service, job)
    return 0 if job.status == "succeeded" else 1


def _with_flags(command: Callable[..., int]) -> Callable[..., int]:
    """Replace ``**more`` in a command's signature by one flag for each field."""
    signature = inspect.signature(command)
    fixed = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*fixed, *flags.parameters()])  # type: ignore[attr-defined]
    command.__annotations__.pop("more", None)
    return command


train = _with_flags(_train)
