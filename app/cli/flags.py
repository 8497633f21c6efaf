"""Hyperparameters and what is done to texts, as flags: one for each field of a schema, so that a new one is there."""

import inspect
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from app.schemas.hints import ALIASES, DROPPED
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.text import TextOptions

PANELS: Mapping[type[BaseModel], str] = {Hyperparameters: "Hyperparameters", TextOptions: "Text"}
"""What is asked for in flags, with the heading of its part of the help."""
# What training guides commonly call them.
SHORT = {
    "num_train_epochs": "--epochs",
    "learning_rate": "--lr",
    "early_stopping_patience": "--patience",
}
ABSENT: Mapping[str, str] = {
    "--output-dir": "versions go into the registry; fetch one with models download",
    "--data-dir": "name the FILE with the rows, or an uploaded dataset with --dataset",
    "--logging-dir": "the service keeps curves and logs; see them with watch, report and logs",
    "--fp16": "write --precision fp16, or leave it out: auto takes what the device is fast at",
    "--bf16": "write --precision bf16, or leave it out: auto takes what the device is fast at",
    "--device": "a worker computes on what it has; --queue gpu waits for one with a GPU",
    "--no-cuda": "write --queue cpu",
}
"""Flags of other training scripts that are none here, with what to do instead."""
BARE_EXPORT = ("--export", "onnx", "--export", "torchscript")
"""What --export without a format means, as it does in other training scripts."""


def rewritten(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Write arguments in the way of other training scripts in ours; raises BadParameter for what has no counterpart."""
    found: list[str] = []
    for number, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[number:]]
        name = argument.partition("=")[0].replace("_", "-")
        following = arguments[number + 1] if number + 1 < len(arguments) else "--"
        if argument == "--export" and following.startswith("-"):
            found += BARE_EXPORT
            continue
        if name.startswith("--") and name not in known:
            _refuse_foreign(name, known)
        found.append(argument)
    return found


def _refuse_foreign(name: str, known: Collection[str]) -> None:
    """Say what a flag of another script is called here, if that is known."""
    if name in ABSENT:
        raise typer.BadParameter(f"there is no {name} here: {ABSENT[name]}")
    field = name.removeprefix("--").replace("-", "_")
    meant = f"--{ALIASES.get(field, field).replace('_', '-')}"
    if meant != name and meant in known:
        raise typer.BadParameter(f"there is no {name} here: write {meant}")
    if field in DROPPED:
        reason = DROPPED[field]
        raise typer.BadParameter(f"there is no {name} here: {reason[:1].lower()}{reason[1:].rstrip('.')}")


_NULL = frozenset({"null", "none"})

Value = str | bool | None


def parameters() -> list[inspect.Parameter]:
    """Give the flags as parameters of a command, each optional."""
    return [
        _parameter(name, schema, panel)
        for model, panel in PANELS.items()
        for name, schema in model.model_json_schema()["properties"].items()
    ]


def text_values(given: Mapping[str, Value]) -> dict[str, Any]:
    """Turn the flags for texts that were given into values; what they may be is checked by the schema."""
    fields = TextOptions.model_fields
    return {name: _value(text) for name, text in given.items() if text is not None and name in fields}


def values(given: Mapping[str, Value]) -> dict[str, Any]:
    """Turn the hyperparameters that were given into values; what they may be is checked by the schema."""
    fields = Hyperparameters.model_fields
    asked = {name: text for name, text in given.items() if text is not None and name in fields}
    read = {
        name: None if text in _NULL and fields[name].default != text else _value(text) for name, text in asked.items()
    }
    return with_strategies(read)


def with_strategies(read: Mapping[str, Any]) -> dict[str, Any]:
    """Add what goes without saying: eval_steps alone says clearly enough what is meant, and so does save_steps."""
    meant = {f"{what}_strategy": "steps" for what in ("eval", "save") if read.get(f"{what}_steps") is not None}
    return meant | dict(read)


def kind_of(schema: Mapping[str, Any]) -> str:
    """Say what a field takes, in a few characters: ``INTEGER|auto``."""
    if "anyOf" in schema:
        return "|".join(dict.fromkeys(kind_of(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return "|".join(schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "json"))
    return {"object": "JSON", "array": "JSON", "string": "TEXT", "null": "null"}.get(kind, kind.upper())


def _parameter(name: str, schema: Mapping[str, Any], panel: str) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    note = f"{' '.join(schema.get('description', '').split())} Default: {json.dumps(schema.get('default'))}.".strip()
    names = [flag, SHORT[name]] if name in SHORT else [flag]
    if schema.get("default") is False:
        option = typer.Option(*names, help=note, rich_help_panel=panel, show_default=False)
        annotation: Any = Annotated[bool | None, option]
    else:
        option = typer.Option(*names, help=note, metavar=kind_of(schema), rich_help_panel=panel, show_default=False)
        annotation = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _value(text: str | bool) -> Any:
    if isinstance(text, bool):
        return text
    for parse in (json.loads, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text
