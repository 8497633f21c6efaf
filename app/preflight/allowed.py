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


def schema_at(root: Schema, path: Sequence[str | int], data: Any = None) -> Schema:
    """Give the schema of the value at ``path``; an empty one where the schema does not say.

    Where an object says by one of its fields which of several kinds it is, ``data`` decides.
    """
    here = _meant(root, root, data)
    for step in path:
        data = _inside(data, step)
        here = _meant(root, _step(root, here, step), data)
    return here


def name_schema_at(root: Schema, path: Sequence[str | int], data: Any = None) -> Schema:
    """Give the schema of the names of entries that the object at ``path`` may have."""
    options = _options(schema_at(root, path, data))
    patterns = [pattern for option in options for pattern in option.get("patternProperties", {})]
    lengths = [option["propertyNames"] for option in options if "propertyNames" in option]
    return {"type": "string", **(lengths[0] if lengths else {}), **({"pattern": patterns[0]} if patterns else {})}


def fields_of(root: Schema, path: Sequence[str | int], data: Any = None) -> tuple[str, ...]:
    """Name the fields of the object at ``path``."""
    return tuple(_properties(root, schema_at(root, path, data)))


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
    kept = [option for index, option in enumerate(kept) if option and option not in kept[:index]]
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else {"anyOf": kept}


def in_words(schema: Schema) -> str:
    """Say which values are allowed: ``an integer from 1 to 1000, or "auto"``."""
    words = [_option_in_words(option) for option in _options(schema)]
    return ", or ".join(dict.fromkeys(words)) or "another value"


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


def _meant(root: Schema, schema: Schema, value: Any) -> Schema:
    """Resolve references and unions of unions; of objects told apart by a field, keep the one that ``value`` names."""
    options: list[Schema] = []
    for option in _options(_resolved(root, schema)):
        kinds = option.get("discriminator")
        if kinds is None:
            options.append(_resolved(root, option))
            continue
        named = value.get(kinds["propertyName"]) if isinstance(value, dict) else None
        if isinstance(named, str) and named in kinds["mapping"]:
            return _resolved(root, {"$ref": kinds["mapping"][named]})
        options += [_resolved(root, kind) for kind in option["oneOf"]]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _inside(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (TypeError, KeyError, IndexError):
        return None


def _properties(root: Schema, schema: Schema) -> dict[str, Schema]:
    properties: dict[str, Schema] = {}
    for option in _options(schema):
        properties |= _resolved(root, option).get("properties", {})
    return properties


def _step(root: Schema, schema: Schema, step: str | int) -> Schema:
    found: list[Schema] = []
    for option in _options(schema):
        option = _resolved(root, option)
        if isinstance(step, int) and "items" in option:
            return _resolved(root, option["items"])
        if isinstance(step, str) and step in option.get("properties", {}):
            found.append(_resolved(root, option["properties"][step]))
        elif isinstance(step, str) and isinstance(option.get("additionalProperties"), dict):
            return _resolved(root, option["additionalProperties"])
        elif isinstance(step, str) and option.get("patternProperties"):
            return _resolved(root, next(iter(option["patternProperties"].values())))
    return {"anyOf": found} if len(found) > 1 else found[0] if found else {}
