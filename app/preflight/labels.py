"""Turns the label values of a file into named classes in a fixed order."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import DatasetRefused, FieldError
from app.preflight.rows import LabelKey
from app.schemas.datasets import DataWarning

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]*\.[0-9]+(e[+-]?[0-9]+)?|-?[0-9]+\.[0-9]*|-?[0-9.]+e[+-]?[0-9]+", re.IGNORECASE)
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Labels:
    """Class names in index order, and which class each label value of the file is."""

    names: list[str]
    class_of_key: npt.NDArray[np.int32]
    warnings: list[DataWarning]


def name_labels(keys: list[LabelKey], label_names: list[str] | dict[str, str] | None) -> Labels:
    """Name the classes; the order is that of ``label_names``, else numeric for integers, else alphabetical.

    Raises DatasetRefused ``invalid-labels`` for values that have no name and for numbers with decimals.
    """
    names_by_key = _names_by_key(keys, label_names)
    used = set(names_by_key.values())
    declared = list(dict.fromkeys(label_names if isinstance(label_names, list) else (label_names or {}).values()))
    ordered = [name for name in declared if name in used] if declared else list(dict.fromkeys(names_by_key.values()))
    if not declared:
        ordered = _natural_order(ordered, keys)
    index = {name: position for position, name in enumerate(ordered)}
    classes = np.asarray([index[names_by_key[key]] for key in keys], dtype=np.int32)
    return Labels(ordered, classes, _unused(declared, used))


def refuse_poor(names: list[str], counts: npt.NDArray[np.int64], train_counts: npt.NDArray[np.int64]) -> None:
    """Refuse one class alone, classes of one row, and classes that training never sees."""
    by_label = {name: int(count) for name, count in zip(names, counts, strict=True)}
    if len(names) < 2:
        raise DatasetRefused(
            f"All {sum(by_label.values())} rows have the same label; a classifier needs two or more.",
            code="invalid-labels",
            remedy="Is label_column the right column?",
            errors=(FieldError("/label_column", "one-class", "must have at least two different values"),),
            extra={"counts": by_label},
        )
    single = [name for name, count in by_label.items() if count < 2]
    untrained = [name for name, count in zip(names, train_counts, strict=True) if count == 0]
    for poor, rule, what in (
        (single, "single-example", "only one row"),
        (untrained, "no-training-rows", "no training row"),
    ):
        if poor:
            raise DatasetRefused(
                f"{_labels(len(poor))} {what}: {', '.join(poor[:_MOST_SHOWN])}.",
                code="too-few-examples",
                remedy="Add rows, merge rare labels, or remove them.",
                errors=(FieldError("/label_column", rule, f"{_labels(len(poor))} {what}"),),
                extra={"counts": {name: by_label[name] for name in poor[:_MOST_SHOWN]}},
            )


def _labels(count: int) -> str:
    return "1 label has" if count == 1 else f"{count} labels have"


def _names_by_key(keys: list[LabelKey], label_names: list[str] | dict[str, str] | None) -> dict[LabelKey, str]:
    if isinstance(label_names, dict):
        named = {key: label_names.get(str(key)) for key in keys}
    elif label_names is not None and {str(key) for key in keys} <= set(label_names):
        named = {key: str(key) for key in keys}
    elif label_names is not None:
        named = {key: _listed(label_names, key) for key in keys}
    else:
        _refuse_decimals(keys)
        named = {key: str(key) for key in keys}
    nameless = [str(key) for key, name in named.items() if name is None]
    if nameless:
        raise _undeclared(nameless)
    return {key: name for key, name in named.items() if name is not None}


def _listed(label_names: list[str], key: LabelKey) -> str | None:
    if not _INTEGER.fullmatch(str(key)):
        return None
    position = int(key)
    return label_names[position] if 0 <= position < len(label_names) else None


def _refuse_decimals(keys: Iterable[LabelKey]) -> None:
    """A column of scores, or integers that met a missing value in pandas: neither is a set of classes."""
    decimals = [key for key in keys if isinstance(key, str) and _DECIMAL.fullmatch(key)]
    if decimals:
        raise DatasetRefused(
            f"{len(decimals)} label values are numbers with decimals, such as {decimals[0][:20]}.",
            code="invalid-labels",
            remedy="Classes are words or integers: write 1.0 as 1, cut scores into classes, or give label_names.",
            errors=(FieldError("/label_column", "float-label", "must hold words or integers"),),
        )


def _undeclared(values: list[str]) -> DatasetRefused:
    short = [value for value in values if len(value) <= 50][:_MOST_SHOWN]
    return DatasetRefused(
        f"{len(values)} label values of the file are not in label_names" + (f": {', '.join(short)}." if short else "."),
        code="invalid-labels",
        remedy="Give a name for every value: a list for 0, 1, 2, ... or a mapping from value to name.",
        errors=(FieldError("/label_names", "undeclared-label", "must name every label value of the file"),),
        extra={"undeclared": short},
    )


def _natural_order(names: list[str], keys: list[LabelKey]) -> list[str]:
    if all(_INTEGER.fullmatch(str(key)) for key in keys):
        return sorted(names, key=int)
    return sorted(names)


def _unused(declared: list[str], used: set[str]) -> list[DataWarning]:
    unused = [name for name in declared if name not in used]
    if not unused:
        return []
    return [
        DataWarning(
            code="unused-label-names",
            detail=f"No row has the label {', '.join(unused[:_MOST_SHOWN])}; the model will not know it.",
            remedy="Add rows with it, or leave it out of label_names.",
        )
    ]
