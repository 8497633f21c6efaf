"""``python -m app train``: upload a dataset, train on it, watch."""

import inspect
import json
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
    SplitColumnOption,
    TestFractionOption,
    TextColumnOption,
    ValidationFractionOption,
    label_names_of,
    tell_dataset,
)
from app.cli.following import follow, tell_result
from app.cli.program import program
from app.client import Tunesmith
from app.schemas.families import FAMILY_NAMES
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import DEFAULT_BASE_MODEL, ExportFormat, Job, Queue, ServedFormat
from app.schemas.profiles import ProfileName
from app.schemas.text import TextOptions


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
    model: Annotated[str, typer.Option(help="Name in the registry; made when it does not exist yet.")],
    dataset: Annotated[
        str | None, typer.Option(help="An uploaded dataset, instead of FILE.", metavar="ID", show_default=False)
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
        typer.Option(help="Format to export; may be repeated.", metavar=kinds(ExportFormat), show_default="onnx"),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            help="Format that answers predictions.", metavar=f"auto|{kinds(ServedFormat)}", show_default="onnx"
        ),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate/--no-calibrate", help="Fit a temperature on the validation split.")
    ] = True,
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
    label_names: LabelNamesOption = None,
    file_format: FormatOption = None,
    validation_fraction: ValidationFractionOption = None,
    test_fraction: TestFractionOption = None,
    split_seed: SeedOption = None,
    priority: Annotated[int, typer.Option(help="Higher runs sooner: a point is worth a minute of waiting.")] = 0,
    queue: Annotated[
        Queue, typer.Option(help="Who may take it: any worker, only those with a GPU, or only those without.")
    ] = "default",
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Also train simple models to compare with.")
    ] = True,
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
    # Checked before anything is uploaded, so that a typing error costs nothing.
    wishes = Hyperparameters.model_validate(flags.values(more))
    fields: dict[str, Any] = {"priority": priority, "queue": queue, "hyperparameters": wishes}
    if text := flags.text_values(more):
        fields["text"] = TextOptions.model_validate(text)
    if profile is not None:
        fields["profile"] = profile
    if base_model is not None:
        fields["base_model"] = base_model
    if family is not None:
        fields["family"] = family_of(family)
    if not baselines:
        fields["baselines"] = False
    if export or serve:
        fields["export"] = _without_none({"formats": export, "serve": serve})
    decision = _without_none({"abstain_below": abstain_below, "top_k": default_top_k})
    if decision or not calibrate:
        fields["decision"] = decision | ({} if calibrate else {"calibrate": False})
    if metadata:
        fields["metadata"] = pairs_of(metadata)
    reading: dict[str, Any] = {
        "text_column": text_column,
        "label_column": label_column,
        "split_column": split_column,
        "label_delimiter": label_delimiter,
        "difficulty_column": difficulty_column,
        "label_names": label_names_of(label_names),
        "format": file_format,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": split_seed,
    }
    with connect(context) as service:
        dataset_id = _dataset(service, file, dataset, reading, quiet=as_json)
        if dry_run:
            print_json(service.validate(model, dataset_id, **fields))
            return 0
        return finish(service, service.train(model, dataset_id, **fields), wait, as_json)


def _dataset(
    service: Tunesmith, file: Path | None, dataset: str | None, reading: dict[str, Any], *, quiet: bool
) -> str:
    """Give the id of the dataset to train on, uploading the file if that is what was given."""
    if (file is None) == (dataset is None):
        raise typer.BadParameter("give either a FILE or --dataset ID")
    if file is None:
        return str(dataset)
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
        job = service.wait(job.id)
        print_json(job)
    else:
        output.print(f"Training [bold]{job.model}[/] from {escape(job.base_model.id)} as {job.id}")
        job = follow(service, job.id)
        tell_result(service, job)
    return 0 if job.status == "succeeded" else 1


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def family_of(text: str) -> Any:
    """Read a family: its name, or a JSON object; raises BadParameter."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--family is not valid JSON: {error}") from error


def pairs_of(texts: list[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; raises BadParameter."""
    pairs = [text.partition("=") for text in texts]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise typer.BadParameter("metadata is written KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _with_flags(command: Callable[..., int]) -> Callable[..., int]:
    """Replace ``**more`` in a command's signature by one flag for each field."""
    signature = inspect.signature(command)
    fixed = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*fixed, *flags.parameters()])  # type: ignore[attr-defined]
    command.__annotations__.pop("more", None)
    return command


train = _with_flags(_train)
