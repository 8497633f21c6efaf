"""Hyperparameters as flags: one for each field of the schema, so that a new field is a new flag."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.schemas.hyperparameters import Hyperparameters

PANEL = "Hyperparameters"
# What training guides commonly call them.
SHORT = {
    "num_train_epochs": "--epochs",
    "learning_rate": "--lr",
    "early_stopping_patience": "--patience",
}
_NULL = frozenset({"null", "none"})

Value = str | bool | None


def parameters() -> list[inspect.Parameter]:
    """Give the flags as parameters of a command, each optional."""
    properties = Hyperparameters.model_json_schema()["properties"]
    return [_parameter(name, schema) for name, schema in properties.items()]


def values(given: Mapping[str, Value]) -> dict[str, Any]:
    """Turn the flags that were given into values; what they may be is checked by the schema."""
    read = {name: _value(name, text) for name, text in given.items() if text is not None}
    # --eval-steps alone says clearly enough what is meant, and so does --save-steps.
    meant = {f"{what}_strategy": "steps" for what in ("eval", "save") if read.get(f"{what}_steps") is not None}
    return meant | read


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


def _parameter(name: str, schema: Mapping[str, Any]) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    note = f"{' '.join(schema.get('description', '').split())} Default: {json.dumps(schema.get('default'))}.".strip()
    names = [flag, SHORT[name]] if name in SHORT else [flag]
    if schema.get("default") is False:
        option = typer.Option(*names, help=note, rich_help_panel=PANEL, show_default=False)
        annotation: Any = Annotated[bool | None, option]
    else:
        option = typer.Option(*names, help=note, metavar=kind_of(schema), rich_help_panel=PANEL, show_default=False)
        annotation = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _value(name: str, text: str | bool) -> Any:
    if isinstance(text, bool):
        return text
    if text in _NULL and Hyperparameters.model_fields[name].default != text:
        return None
    for parse in (json.loads, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text
