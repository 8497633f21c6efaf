"""Turns the label values of a table into names."""

import re
from collections.abc import Iterable, Mapping, Sequence

from app.errors import FieldError, JobFailure

LONGEST = 200
"""Characters of a label's name."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


class LabelNamer:
    """Names the values of one label column; ``class_names`` are those that the dataset brings along."""

    def __init__(self, names: Sequence[str] | Mapping[str, str] | None, class_names: Sequence[str] | None) -> None:
        self._names = names
        self._class_names = class_names

    def name(self, value: object) -> str | None:
        """Give the name of a value; None for a row without label (nothing, or class -1).

        Raises JobFailure ``unnamed-label`` or ``invalid-label``.
        """
        if (
            value is None
            or (isinstance(value, str) and not value.strip())
            or (self._class_names is not None and value == -1)
        ):
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise _invalid(f"values of the type {type(value).__name__}")
        key, said = (str(value).strip(), None) if self._class_names is None else self._class(value)
        named = self._look_up(key, said)
        if named is None:
            raise JobFailure(
                detail="A label value of the dataset is not in label_names.",
                code="unnamed-label",
                remedy="Name every value: a list for 0, 1, 2, ... or a mapping from value to name.",
                errors=(FieldError("/label_names", "unnamed-label", "must name every label value"),),
            )
        if len(named) > LONGEST:
            raise _invalid(f"labels of more than {LONGEST} characters")
        return named

    def order(self, seen: Iterable[str]) -> list[str]:
        """Put the names that were seen into the order of the options, else of the dataset, else of their values."""
        used = set(seen)
        return [name for name in self._declared() if name in used] or _natural(used)

    def _class(self, value: int | str) -> tuple[str, str | None]:
        """Give a class's number and name, whichever of the two the table holds."""
        names = self._class_names or ()
        if isinstance(value, str):
            return (str(names.index(value)), value) if value in names else (value, value)
        return str(value), names[value] if 0 <= value < len(names) else None

    def _look_up(self, key: str, said: str | None) -> str | None:
        if isinstance(self._names, Mapping):
            return self._names.get(key) if key in self._names else self._names.get(said or key)
        if self._names is not None:
            if said in self._names:  # the same name on both sides beats its place in the list
                return said
            if _INTEGER.fullmatch(key):
                return self._names[int(key)] if 0 <= int(key) < len(self._names) else None
            return key if key in self._names else None
        return said if self._class_names is not None else key

    def _declared(self) -> list[str]:
        if isinstance(self._names, Mapping):
            # The dataset's own order where it has one: a mapping is written in any order.
            known = [(str(number), name) for number, name in enumerate(self._class_names or ())]
            return list(dict.fromkeys([self._look_up(*pair) or "" for pair in known] or self._names.values()))
        return list(self._names if self._names is not None else self._class_names or ())


def sets_of_labels() -> JobFailure:
    """Give the error of a column that holds any number of labels in each row."""
    return JobFailure(
        detail="The label column holds lists, that is any number of labels a row; imports read one label a row.",
        code="invalid-label",
        remedy="Write the labels of a row into one cell, divided by a sign, and upload the file with label_delimiter.",
        errors=(FieldError("/label_column", "invalid-label", "must hold one label a row"),),
        kind="user",
    )


def _invalid(what: str) -> JobFailure:
    return JobFailure(
        detail=f"The label column holds {what}.",
        code="invalid-label",
        remedy="Classes are short words or integers; name another label_column, or convert the column first.",
        errors=(FieldError("/label_column", "invalid-label", "must hold words or integers"),),
    )


def _natural(names: set[str]) -> list[str]:
    if all(_INTEGER.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return sorted(names)
