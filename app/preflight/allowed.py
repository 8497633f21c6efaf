"""Reads a JSON schema for what a person wants to know: which fields there are and which values they take."""

import json
from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

_KEPT = (
    "type",
    "const",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "pattern",
)
_NOUNS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}


def schema_at(root: Schema, path: Sequence[str | int]) -> Schema:
    """Give the schema of the value at ``path``; an empty one where the schema does not say."""
    here = _resolved(root, root)
    for step in path:
        here = _step(root, here, step)
    return here


def fields_of(root: Schema, path: Sequence[str | int]) -> tuple[str, ...]:
    """Name the fields of the object at ``path``."""
    return tuple(_properties(root, schema_at(root, path)))


def places_of(root: Schema, name: str, prefix: str = "") -> list[str]:
    """Give the pointers of every field called ``name``, the shallow ones first."""
    properties = _properties(root, schema_at(root, [part for part in prefix.split("/") if part]))
    found = [f"{prefix}/{name}"] if name in properties else []
    for field in properties:
        found += places_of(root, name, f"{prefix}/{field}")
    return found


def allowed_values(schema: Schema) -> Any:
    """Give a list where the values can be listed, else the part of the schema that bounds them."""
    options = _options(schema)
    if options and all("const" in option or "enum" in option for option in options):
        return [value for option in options for value in option.get("enum", [option.get("const")])]
    kept = [{key: option[key] for key in _KEPT if key in option} for option in options]
    kept = [option for option in kept if option]
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else {"anyOf": kept}


def in_words(schema: Schema) -> str:
    """Say which values are allowed: ``an integer from 1 to 1000, or "auto"``."""
    words = [_option_in_words(option) for option in _options(schema)]
    return ", or ".join(words) or "another value"


def _option_in_words(option: Schema) -> str:
    if "const" in option:
        return json.dumps(option["const"])
    if "enum" in option:
        return "one of " + ", ".join(json.dumps(value) for value in option["enum"])
    noun = _NOUNS.get(str(option.get("type")), "a value")
    return noun + _range_in_words(option) + _length_in_words(option) + _pattern_in_words(option)


def _range_in_words(option: Schema) -> str:
    low, high = option.get("minimum"), option.get("maximum")
    above, below = option.get("exclusiveMinimum"), option.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    parts = [
        f"{word} {bound}"
        for word, bound in (("at least", low), ("above", above), ("at most", high), ("below", below))
        if bound is not None
    ]
    return " " + " and ".join(parts) if parts else ""


def _length_in_words(option: Schema) -> str:
    for unit, low, high in (
        ("characters", "minLength", "maxLength"),
        ("items", "minItems", "maxItems"),
        ("entries", "minProperties", "maxProperties"),
    ):
        least, most = option.get(low), option.get(high)
        if least is not None and most is not None:
            return f" of {least} to {most} {unit}"
        if least is not None or most is not None:
            return f" of at {'least' if most is None else 'most'} {least if most is None else most} {unit}"
    return ""


def _pattern_in_words(option: Schema) -> str:
    if "pattern" not in option:
        return ""
    examples = option.get("examples")
    return f" such as {', '.join(map(json.dumps, examples))}" if examples else f" that matches {option['pattern']}"


def _options(schema: Schema) -> list[Schema]:
    options: list[Schema] = schema.get("anyOf", [schema] if schema else [])
    return options


def _resolved(root: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target: Schema = root["$defs"][reference.rsplit("/", 1)[1]]
    return target


def _properties(root: Schema, schema: Schema) -> dict[str, Schema]:
    properties: dict[str, Schema] = {}
    for option in _options(schema):
        properties |= _resolved(root, option).get("properties", {})
    return properties


def _step(root: Schema, schema: Schema, step: str | int) -> Schema:
    for option in _options(schema):
        option = _resolved(root, option)
        if isinstance(step, int) and "items" in option:
            return _resolved(root, option["items"])
        if isinstance(step, str) and step in option.get("properties", {}):
            return _resolved(root, option["properties"][step])
        if isinstance(step, str) and isinstance(option.get("additionalProperties"), dict):
            return _resolved(root, option["additionalProperties"])
    return {}
