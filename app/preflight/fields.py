"""Turns what pydantic found wrong with a body into rules, pointers, allowed values and remedies, without quoting it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import FieldError, Unprocessable, nearest
from app.preflight.allowed import Schema, allowed_values, fields_of, in_words, name_schema_at, places_of, schema_at
from app.preflight.strict_json import pointer
from app.schemas.hints import ALIASES, DROPPED

ModelT = TypeVar("ModelT", bound=BaseModel)
Path = tuple[str | int, ...]
Finding = Mapping[str, Any]

RANKED_CODES = (
    "unknown-parameter",
    "invalid-parameter",
    "invalid-body",
    "unknown-field",
    "missing-field",
    "invalid-type",
    "unknown-base-model",
    "invalid-text",
    "invalid-hyperparameter",
    "invalid-value",
)
"""Codes of broken rules, the worst first: the problem of several has that of the first."""
_MOST_FINDINGS = 50
"""More would help nobody, and a body of a hundred thousand unknown keys would cost seconds of guessing."""
_TYPE = "invalid-type"
_CHOICE = "not-allowed"
_ACROSS = "cross-field"


def validate(model: type[ModelT], data: Any) -> ModelT:
    """Validate parsed JSON; raises Unprocessable with one FieldError a broken rule."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise explain(model, error.errors(include_url=False, include_input=False), data) from None


def explain(model: type[BaseModel], findings: Sequence[Finding], data: Any) -> Unprocessable:
    """Make the problem that tells a client everything that is wrong with ``data``."""
    if not isinstance(data, dict):
        return _not_an_object(model)
    schema = _schema(model)
    groups: dict[Path, list[Finding]] = {}
    for finding in findings[:_MOST_FINDINGS]:
        groups.setdefault(_path(finding, data), []).append(finding)
    errors = [_field_error(schema, path, group, data) for path, group in groups.items() if not _shadowed(path, groups)]
    return problem(errors)


def problem(errors: Sequence[FieldError]) -> Unprocessable:
    """Make one problem of the broken rules; its code is that of the gravest."""
    ranked = sorted(errors, key=lambda error: RANKED_CODES.index(code_of(error)))
    first = ranked[0]
    more = f" ({len(ranked) - 1} more in errors)" if len(ranked) > 1 else ""
    place = first.pointer or "The body"
    return Unprocessable(
        f"{place}{':' if first.rule == _ACROSS else ''} {first.detail}.{more}",
        code=code_of(first),
        remedy=first.remedy or "Mend the fields listed in errors.",
        errors=tuple(ranked),
    )


def unknown_names(names: Sequence[str], known: Sequence[str]) -> Unprocessable:
    """Make the problem of form fields that nobody knows."""
    errors = []
    for name in names[:_MOST_FINDINGS]:
        near = nearest(name[:100], known)
        remedy = f"Did you mean {near}?" if near else "Remove it."
        errors.append(FieldError(pointer((name,)), "unknown-field", "is not a known field", list(known), remedy))
    return problem(errors)


def code_of(error: FieldError) -> str:
    """Name the problem that one broken rule makes."""
    if error.rule in RANKED_CODES:
        return error.rule
    if error.pointer == "/base_model" and error.rule != "unfit-option":
        return "unknown-base-model"
    return "invalid-hyperparameter" if error.pointer.startswith("/hyperparameters") else "invalid-value"


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _not_an_object(model: type[BaseModel]) -> Unprocessable:
    fields = list(fields_of(_schema(model), ()))
    return Unprocessable(
        "The body must be a JSON object.",
        code="invalid-body",
        remedy=f"Send an object with the fields {', '.join(fields[:8])}.",
        errors=(FieldError("", "invalid-body", "must be a JSON object", allowed=fields),),
    )


def _path(finding: Finding, data: Any) -> Path:
    """Keep of pydantic's location what is a step into the data; the rest names branches of a union."""
    steps: list[str | int] = []
    here = data
    location = finding["loc"]
    for step in location:
        into_object = isinstance(here, dict) and isinstance(step, str) and step in here
        into_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        if into_object or into_list:
            steps, here = [*steps, step], here[step]
    if finding["type"] == "missing":
        steps.append(location[-1])
    elif "union_tag" in finding["type"] and isinstance(here, dict):
        steps.append(finding["ctx"]["discriminator"].strip("'"))
    return tuple(steps)


def _shadowed(path: Path, groups: Mapping[Path, list[Finding]]) -> bool:
    """Say whether the complaint is only that another branch of the union was not meant."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    return deeper and all(_rule(finding) in {_TYPE, _CHOICE} for finding in groups[path])


def _field_error(schema: Schema, path: Path, group: Sequence[Finding], data: Any) -> FieldError:
    kinds = {finding["type"] for finding in group}
    place = pointer(path)
    if "extra_forbidden" in kinds:
        return _unknown(schema, path, data)
    if "missing" in kinds or ("union_tag_not_found" in kinds and _parent_is_object(data, path)):
        wanted = schema_at(schema, path, data)
        return FieldError(place, "missing-field", "is required", allowed_values(wanted), f"Add {path[-1]}.")
    if "value_error" in kinds:
        cause = next(finding for finding in group if finding["type"] == "value_error")
        words = str(cause.get("ctx", {}).get("error", "breaks a rule"))
        return _cross_field(path, words, fields_of(schema, path, data))
    if kinds & {"string_unicode", "invalid_key"}:
        return FieldError(place, "invalid-text", "is not valid Unicode text")
    if all(finding["loc"][-1] == "[key]" for finding in group):
        named = name_schema_at(schema, path[:-1], data)
        words = f"has a name that must be {in_words(named)}"
        remedy = " ".join(["Rename it:", *named["description"].split()]) if "description" in named else "Rename it."
        return FieldError(place, _rule(group[0]), words, allowed_values(named), remedy)
    wanted = schema_at(schema, path, data)
    rule = _union_rule(group, _value_at(data, path))
    words = in_words(wanted)
    remedy = f"Use {words}."
    if rule == "invalid-format" and "description" in wanted:
        remedy = f"Write it so: {' '.join(wanted['description'].split()).replace('``', '')}"
    return FieldError(place, rule, f"must be {words}", allowed_values(wanted), remedy)


def _cross_field(path: Path, words: str, fields: Sequence[str]) -> FieldError:
    """Say which rule across fields is broken; the remedy is what the rule advises, else to change what it names."""
    _, _, advice = words.partition("; ")
    named = [field for field in fields if re.search(rf"\b{re.escape(field)}\b", words)]
    remedy = f"{advice[:1].upper()}{advice[1:]}." if advice else f"Change {' or '.join(named)}." if named else None
    return FieldError(pointer(path), _ACROSS, words, remedy=remedy)


def _union_rule(group: Sequence[Finding], value: Any) -> str:
    rules = [_rule(finding) for finding in group]
    precise = [rule for rule in rules if rule not in {_TYPE, _CHOICE}]
    if precise:
        return precise[0]
    # A word where words are allowed is a wrong choice; anything else is of the wrong type.
    return _CHOICE if _CHOICE in rules and (isinstance(value, str) or _TYPE not in rules) else _TYPE


def _rule(finding: Finding) -> str:
    kind = str(finding["type"])
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        return _CHOICE
    if kind.endswith("_type") or kind in {"int_from_float", "model_attributes_type"}:
        return _TYPE
    if "pattern" in kind:
        return "invalid-format"
    if "too_" in kind:
        return "invalid-length"
    return "out-of-range"


def _unknown(schema: Schema, path: Path, data: Any) -> FieldError:
    name, known = str(path[-1]), fields_of(schema, path[:-1], data)
    if name in DROPPED:
        return FieldError(pointer(path), "unknown-field", "is not a known field", list(known), DROPPED[name])
    guesses = (ALIASES.get(name), nearest(name[:100], known))
    meant = next((guess for guess in guesses if guess in known), None)
    remedy = f"Did you mean {meant}?" if meant else None
    if remedy is None:
        elsewhere = [place for place in places_of(schema, ALIASES.get(name, name)) if place != pointer(path)]
        remedy = f"It belongs at {elsewhere[0]}." if elsewhere else "Remove it, or see allowed for the known fields."
    return FieldError(pointer(path), "unknown-field", "is not a known field", list(known), remedy)


def _parent_is_object(data: Any, path: Path) -> bool:
    return bool(path) and isinstance(_value_at(data, path[:-1]), dict)


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data
