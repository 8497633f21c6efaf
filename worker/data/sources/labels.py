"""Turns the label values of a table into names."""

import re
from collections.abc import Iterable, Mapping, Sequence

from app.errors import FieldError, JobFailure

LONGEST = 200
"""Characters of a label's name."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


class LabelNamer:
    """Names the values of one label column.

    ``class_names`` are those that the dataset brings along, ``delimiter`` is what parts several labels in one text.
    """

    def __init__(
        self,
        names: Sequence[str] | Mapping[str, str] | None,
        class_names: Sequence[str] | None,
        delimiter: str | None = None,
    ) -> None:
        self._names = names
        self._class_names = class_names
        self._delimiter = delimiter

    def label(self, value: object) -> str | tuple[str, ...] | None:
        """Give the name of a row's label, or the names of its set of labels, which may be empty.

        None for a row that nobody has labelled: nothing, class -1, or a set with one of these in it. Raises JobFailure
        as ``name`` does.
        """
        values = self.parts(value)
        if values is None:
            return self.name(value)
        if all(isinstance(part, int) for part in values) and len(set(values)) < len(values):
            raise _repeated()  # most likely a nought or a one for each class
        named = [self.name(part) for part in values]
        known = tuple(dict.fromkeys(name for name in named if name is not None))
        return None if None in named else known

    def parts(self, value: object) -> Sequence[object] | None:
        """Give the values in a set of labels; None where a row has only one, or none at all."""
        if isinstance(value, list):
            return value
        if self._delimiter is None:
            return None
        if value is None or isinstance(value, str):
            return [part for part in (value or "").split(self._delimiter) if part.strip()]
        return [value]

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


def _repeated() -> JobFailure:
    return JobFailure(
        detail="The label column holds lists of numbers that repeat themselves, so they are no numbers of classes.",
        code="invalid-label",
        remedy="Is it a nought or a one for each class? Then write the numbers or the names of the classes that a row "
        "has, and upload the file.",
        errors=(FieldError("/label_column", "invalid-label", "must hold lists of different classes"),),
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
