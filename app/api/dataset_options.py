"""Reads how a file is to be read out of query parameters and form fields, where everything is a string."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Query

from app.errors import FieldError, Unprocessable
from app.preflight import fields, strict_json
from app.schemas.datasets import DatasetOptions, FileFormat

Name = Annotated[str | None, Query(description="A name for people.", max_length=200)]
TextColumn = Annotated[str | None, Query(description="Column with the texts; default `text`.", max_length=200)]
LabelColumn = Annotated[str | None, Query(description="Column with the labels; default `label`.", max_length=200)]
SplitColumn = Annotated[
    str | None,
    Query(description="Column with train, validation, test; default `split` if there is one.", max_length=200),
]
LabelDelimiter = Annotated[
    str | None,
    Query(description="What parts several labels of a row, such as `|`: makes the dataset multi-label.", max_length=5),
]
DifficultyColumn = Annotated[
    str | None, Query(description="Column with a number for each row: how hard it is.", max_length=200)
]
SliceColumns = Annotated[
    str | None,
    Query(
        description="Columns of words that group the rows, such as source or language, separated by commas or as a "
        "JSON list: versions are judged on each group by itself.",
        examples=["source,language"],
    ),
]
LabelNames = Annotated[
    str | None,
    Query(
        description="Names of the label values 0, 1, 2, ... in order, separated by commas or as a JSON list; or a JSON "
        "object from value to name.",
        examples=["negative,neutral,positive"],
    ),
]
Format = Annotated[FileFormat | None, Query(description="Only if the content does not tell.")]
ValidationFraction = Annotated[
    float | None, Query(description="Share held out for validation if the file has no such rows; default 0.1.")
]
TestFraction = Annotated[
    float | None, Query(description="Share held out for the final test if the file has no such rows; default 0.1.")
]
Seed = Annotated[int | None, Query(description="Seed of the split; default 42.")]

_SPLIT_FIELDS = ("validation_fraction", "test_fraction", "seed")
_FORM_FIELDS = (*(field for field in DatasetOptions.model_fields if field != "split"), *_SPLIT_FIELDS)


def build(*sources: Mapping[str, Any]) -> DatasetOptions:
    """Make options of named values; a later source wins, None means not said. Raises Unprocessable."""
    given = {name: value for source in sources for name, value in source.items() if value is not None}
    options: dict[str, Any] = {name: value for name, value in given.items() if name not in _SPLIT_FIELDS}
    split = {name: given[name] for name in _SPLIT_FIELDS if name in given}
    if isinstance(options.get("label_names"), str):
        options["label_names"] = _label_names(options["label_names"])
    if isinstance(options.get("slice_columns"), str):
        options["slice_columns"] = _names("slice_columns", options["slice_columns"], '["source", "language"]')
    return fields.validate(DatasetOptions, options | ({"split": split} if split else {}))


def of_form(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the fields of a form; raises Unprocessable ``unknown-field``, ``invalid-type``, ``invalid-text``."""
    unknown = [name for name in form if name not in _FORM_FIELDS]
    if unknown:
        raise fields.unknown_names(unknown, _FORM_FIELDS)
    strict_json.check_text(dict(form))
    values: dict[str, Any] = {name: value for name, value in form.items() if value != ""}
    for name, number, noun in (
        ("validation_fraction", float, "a number"),
        ("test_fraction", float, "a number"),
        ("seed", int, "an integer"),
    ):
        if name in values:
            values[name] = _number(name, values[name], number, noun)
    return values


def _number(name: str, text: str, number: Callable[[str], Any], noun: str) -> Any:
    try:
        return number(text)
    except ValueError:
        raise fields.problem([FieldError(f"/{name}", "invalid-type", f"must be {noun}")]) from None


def _label_names(text: str) -> Any:
    return _names("label_names", text, '["negative", "neutral", "positive"]')


def _names(option: str, text: str, example: str) -> Any:
    """Read names that are parted by commas, or JSON. Raises Unprocessable ``invalid-value``."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Unprocessable(
                f"{option} is not valid JSON.",
                code="invalid-value",
                remedy=f"Write {','.join(json.loads(example))} or {example}.",
                errors=(FieldError(f"/{option}", "invalid-format", "must be a list of names"),),
            ) from None
    return [name.strip() for name in text.split(",")]
