"""What ``train`` is asked for: a job file first, and over it the flags that were given."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from app.cli import flags
from app.cli.console import errors
from app.cli.imports import RECIPES, recipe_dataset
from app.cli.job_file import JobFile, read_job_file
from app.client import Tunesmith
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest


def job_of(config: Path | None, given: Mapping[str, Any], more: Mapping[str, flags.Value]) -> JobFile:
    """Put a job together and check its fields, so that a typing error costs nothing.

    ``given`` are fields of the request, those that are None left out; ``more`` the flags that are made from schemas.
    Raises BadParameter and pydantic's ValidationError.
    """
    job = JobFile() if config is None else read_job_file(config)
    for note in job.notes:
        errors.print(f"[dim]{escape(f'{config}: {note}')}[/]")
    for name, value in given.items():
        if value is not None:
            job.request[name] = _over(job.request.get(name), value)
    wishes = _together(job.request.get("hyperparameters", {}), flags.values(more))
    if wishes:
        job.request["hyperparameters"] = wishes
    if text := flags.text_values(more):
        job.request["text"] = _over(job.request.get("text"), text)
    Hyperparameters.model_validate(wishes)
    if "model" in job.request:
        TrainJobRequest.model_validate({"dataset_id": ""} | job.request)
    return job


def dataset_of(service: Tunesmith, job: JobFile, file: Path | None, dataset: str | None) -> Path | str:
    """Give what to train on: a file that is still to be uploaded, or the id of a stored dataset."""
    if file is None and dataset is None:
        file, dataset = job.data, job.dataset
    if (file is None) == (dataset is None):
        raise typer.BadParameter("give either a FILE or --dataset ID")
    if file is not None:
        if not file.is_file():
            raise typer.BadParameter(f"there is no file {file}")
        return file
    return recipe_dataset(service, str(dataset)) if dataset in RECIPES else str(dataset)


def model_of(job: JobFile, dataset: str | None) -> str:
    """Give the name that the version gets; a recipe is name enough."""
    named = job.request.pop("model", None) or (dataset if dataset in RECIPES else None)
    if named is None:
        raise typer.BadParameter(
            "give --model NAME, the model that this becomes a version of: train messages.csv --model messages"
        )
    return str(named)


def without_none(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Leave out what was not given; None when nothing was."""
    return {name: value for name, value in values.items() if value is not None} or None


def family_of(text: str | None) -> Any:
    """Read a family: its name, or a JSON object; raises BadParameter."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--family is not valid JSON: {error}") from error


def pairs_of(texts: list[str] | None) -> dict[str, str] | None:
    """Read KEY=VALUE pairs; raises BadParameter."""
    pairs = [text.partition("=") for text in texts or []]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise typer.BadParameter("metadata is written KEY=VALUE")
    return {key: value for key, _, value in pairs} or None


def _over(before: Any, value: Any) -> Any:
    """Put what a flag says over what the file says; of an object only the fields that were given."""
    return before | value if isinstance(before, dict) and isinstance(value, dict) else value


def _together(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Put hyperparameters of flags over those of the file; a flag takes the place of the field that it excludes."""
    kept = dict(before)
    for one, other in (("warmup_steps", "warmup_ratio"), ("warmup_ratio", "warmup_steps")):
        if one in given:
            kept.pop(other, None)
    return kept | dict(given)
