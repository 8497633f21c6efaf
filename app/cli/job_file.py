"""A job in a file: the body of POST /jobs with its data, or the configuration of a training script."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from app.cli import flags
from app.cli.yaml_file import read_yaml
from app.errors import nearest
from app.schemas.datasets import DatasetOptions, SplitPolicy
from app.schemas.families import TextCNNOptions
from app.schemas.hints import ALIASES, DROPPED
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest

HYPERPARAMETERS = frozenset(Hyperparameters.model_fields)
REQUEST = frozenset(TrainJobRequest.model_fields) - {"kind"}
READING = frozenset({*DatasetOptions.model_fields, *SplitPolicy.model_fields}) - {"name", "split"}
FAMILIES = {"transformer": "encoder", "bert": "encoder", "cnn": "textcnn"}
"""Architectures by the names that other configurations give them."""
HALF = {"fp16": "auto", "bf16": "bf16"}
NAMES = ALIASES | {"model_name": "base_model"}
"""As --model-name, which is the base model too."""
LEFT_OUT = {
    "device": "a worker computes on what it has",
    "num_labels": "the labels are those of the data",
    "num_classes": "the labels are those of the data",
    "hidden_size": "the base model has its own",
    "num_layers": "the base model has its own",
    "num_attention_heads": "the base model has its own",
    "output_dir": "the version goes into the registry; models download fetches it",
}
SECTIONS = ("hyperparameters", "training", "model", "data", "wandb")
_ELSEWHERE = {
    "compute_environment": "This is a configuration of accelerate. A worker computes on what it has: "
    "--queue gpu waits for one with a GPU, and precision takes the place of mixed_precision.",
}


@dataclass
class JobFile:
    """What a file asks for; ``notes`` say what was taken under another name, and what was left out."""

    request: dict[str, Any] = field(default_factory=dict)
    """Fields of the request, without the dataset; hyperparameters are values, not checked yet."""
    data: Path | None = None
    """The file with the rows, if one is named."""
    dataset: str | None = None
    """Or the stored dataset."""
    reading: dict[str, Any] = field(default_factory=dict)
    """How to read the file with the rows."""
    notes: list[str] = field(default_factory=list)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters so far."""
        found: dict[str, Any] = self.request.setdefault("hyperparameters", {})
        return found


def read_job_file(path: Path) -> JobFile:
    """Read a job from YAML or JSON; raises BadParameter for what is in it and means nothing."""
    try:
        found = read_yaml(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise typer.BadParameter(f"{path} cannot be read: {reason}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise typer.BadParameter(f"{path} is not a mapping of fields to values, such as model: messages")
    job = JobFile()
    for key, value in found.items():
        _take(job, path, key, value)
    if job.hyperparameters:
        job.request["hyperparameters"] = flags.with_strategies(job.hyperparameters)
    else:
        del job.request["hyperparameters"]
    return job


def _take(job: JobFile, path: Path, key: str, value: Any) -> None:
    """Take one key of the top of the file."""
    match key, value:
        case (("hyperparameters" | "training"), dict()):
            for name, wish in value.items():
                _hyperparameter(job, f"{key}.{name}", name, wish)
        case "model", dict():
            _model(job, value)
        case "data", dict():
            _data(job, path, value)
        case "wandb", _:
            job.notes.append("wandb is left out: the operator says with TUNESMITH_TRACKERS where runs are shown")
        case (("file" | "dataset_id" | "dataset"), str()):
            _data(job, path, {key: value})
        case _ if key in SECTIONS[:2] or key == "data":
            raise typer.BadParameter(f"{key}: this is a mapping of fields to values")
        case _ if key in REQUEST:
            job.request[key] = value
        case _ if key in _ELSEWHERE:
            raise typer.BadParameter(f"{key}: {_ELSEWHERE[key]}")
        case _ if _is_hyperparameter(key):
            _hyperparameter(job, key, key, value)
        case _ if NAMES.get(key) in REQUEST:
            _set(job.request, key, NAMES[key], value, job.notes)
        case _:
            raise _unknown(key, key, [*REQUEST, *SECTIONS, "file", *HYPERPARAMETERS])


def _is_hyperparameter(name: str) -> bool:
    left_out = name in DROPPED or name in LEFT_OUT
    return name in HYPERPARAMETERS or name in HALF or left_out or NAMES.get(name) in HYPERPARAMETERS


def _hyperparameter(job: JobFile, place: str, name: str, value: Any) -> None:
    if name in HYPERPARAMETERS:
        _set(job.hyperparameters, place, name, value, [])
    elif name in HALF and isinstance(value, bool):
        _set(job.hyperparameters, f"{place} {str(value).lower()}", "precision", HALF[name] if value else "fp32", [])
        job.notes.append(f"{place}: {str(value).lower()} is precision: {job.hyperparameters['precision']}")
    elif name in DROPPED or name in LEFT_OUT:
        _leave_out(job, place, name)
    elif NAMES.get(name) in HYPERPARAMETERS:
        _set(job.hyperparameters, place, NAMES[name], value, job.notes)
    else:
        raise _unknown(place, name, HYPERPARAMETERS)


def _model(job: JobFile, section: Mapping[str, Any]) -> None:
    """Take the description of a model; that of a convolutional network has options of its own."""
    architecture = str(section.get("architecture", "encoder"))
    family = FAMILIES.get(architecture, architecture)
    own = frozenset(TextCNNOptions.model_fields) - {"type"} if family == "textcnn" else frozenset[str]()
    options: dict[str, Any] = {}
    for name, value in section.items():
        place, meant = f"model.{name}", NAMES.get(name, name)
        if name == "name":
            job.request["model"] = value
        elif name == "architecture":
            job.request["family"] = family
        elif name in own or meant in own:
            _set(options, place, name if name in own else meant, value, job.notes)
        elif meant == "base_model":
            _set(job.request, place, "base_model", value, job.notes)
        elif name in DROPPED or name in LEFT_OUT:
            _leave_out(job, place, name)
        elif _is_hyperparameter(name):
            _hyperparameter(job, place, name, value)
        else:
            raise _unknown(place, name, ["name", "architecture", "pretrained_model", *own])
    if options:
        job.request["family"] = {"type": family} | options


def _data(job: JobFile, path: Path, section: Mapping[str, Any]) -> None:
    for name, value in section.items():
        if name == "file":
            job.data = path.parent / str(value)
        elif name in ("dataset", "dataset_id"):
            job.dataset = str(value)
        elif name == "augmentation":
            _hyperparameter(job, "data.augmentation", name, value)
        elif name in READING:
            job.reading[name] = value
        else:
            raise _unknown(f"data.{name}", name, ["file", "dataset_id", "augmentation", *READING])


def _set(target: dict[str, Any], place: str, name: str, value: Any, notes: list[str]) -> None:
    """Set a field once; what it is called here is worth a note."""
    if name in target:
        raise typer.BadParameter(f"{place}: {name} is given twice")
    target[name] = value
    if place.rpartition(".")[2] != name:
        notes.append(f"{place} is {name}")


def _leave_out(job: JobFile, place: str, name: str) -> None:
    reason = LEFT_OUT.get(name) or DROPPED[name].removeprefix("Remove it: ").rstrip(".")
    job.notes.append(f"{place} is left out: {reason}")


def _unknown(place: str, name: str, known: Iterable[str]) -> typer.BadParameter:
    near = nearest(name, known)
    words = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known)[:12])} and more"
    return typer.BadParameter(f"{place} is not a known field; {words}")
