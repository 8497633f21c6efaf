"""Hyperparameters and what is done to texts, as flags: one for each field of a schema, so that a new one is there."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from pydantic import BaseModel

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
