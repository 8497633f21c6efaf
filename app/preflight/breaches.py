"""The rules every row keeps, and the count of rows that break them; a refusal names rules and places, never texts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.errors import DatasetRefused, FieldError

_MOST_PLACES = 10
_LABELS = "Labels are strings or integers, one in every row; write 1.0 as 1 and true as a word."
_SPLITS = "Use train, validation (or dev, val, valid, eval) and test; or name another split_column."


@dataclass(frozen=True)
class Rule:
    """One rule: the problem it makes, which value it is about, and how the sentence about the rows goes on."""

    code: str
    column: str
    singular: str
    plural: str
    remedy: str


RULES = {
    "empty-text": Rule("empty-text", "text", "has no text", "have no text", "Remove the rows without text."),
    "text-type": Rule(
        "invalid-text", "text", "has a text that is not a string", "have a text that is not a string", "Send strings."
    ),
    "text-too-long": Rule(
        "text-too-long",
        "text",
        "has a text that is too long",
        "have a text that is too long",
        "Shorten them, or raise TUNESMITH_MAX_TEXT_CHARS.",
    ),
    "nul-character": Rule("invalid-text", "text", "holds a NUL character", "hold a NUL character", "Remove it."),
    "missing-label": Rule("invalid-labels", "label", "has no label", "have no label", _LABELS),
    "boolean-label": Rule("invalid-labels", "label", "has a boolean label", "have a boolean label", _LABELS),
    "float-label": Rule("invalid-labels", "label", "has a label with decimals", "have a label with decimals", _LABELS),
    "label-type": Rule(
        "invalid-labels",
        "label",
        "has a label that is neither string nor integer",
        "have a label that is neither string nor integer",
        _LABELS,
    ),
    "label-too-long": Rule(
        "invalid-labels",
        "label",
        "has a label of more than 200 characters",
        "have a label of more than 200 characters",
        "Is label_column the right column?",
    ),
    "no-difficulty": Rule(
        "invalid-difficulty",
        "difficulty",
        "has no number that says how hard it is",
        "have no number that says how hard they are",
        "Give every row a number, or leave out difficulty_column.",
    ),
    "slice-type": Rule(
        "invalid-slice",
        "slice",
        "has a value that is neither string, integer nor boolean",
        "have a value that is neither string, integer nor boolean",
        "Name a column of words in slice_columns, or round the numbers to a few groups.",
    ),
    "slice-too-long": Rule(
        "invalid-slice",
        "slice",
        "has a value of more than 100 characters",
        "have a value of more than 100 characters",
        "Name a column that groups the rows, such as source or language.",
    ),
    "invalid-split": Rule("invalid-split", "split", "names an unknown split", "name an unknown split", _SPLITS),
}


class BrokenRule(ValueError):
    """A value breaks the rule called ``rule``."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass
class _Breach:
    places: list[int] = field(default_factory=list)
    total: int = 0


class Breaches:
    """Counts broken rules; ``unit`` says what a place is: ``line`` or ``row``."""

    def __init__(self, unit: str, columns: dict[str, str | None]) -> None:
        self.unit, self.columns = unit, columns
        self._by_rule: dict[str, _Breach] = {}

    def __bool__(self) -> bool:
        return bool(self._by_rule)

    def add(self, rule: str, place: int) -> None:
        """Count one more row."""
        breach = self._by_rule.setdefault(rule, _Breach())
        breach.total += 1
        if len(breach.places) < _MOST_PLACES:
            breach.places.append(place)

    def refuse_if_any(self) -> None:
        """Raise DatasetRefused with one entry a broken rule, the commonest first."""
        if not self._by_rule:
            return
        ranked = sorted(self._by_rule.items(), key=lambda item: -item[1].total)
        worst = RULES[ranked[0][0]]
        raise DatasetRefused(
            self._sentence(*ranked[0]) + ".",
            code=worst.code,
            remedy=worst.remedy,
            errors=tuple(self._errors(ranked)),
            extra={"counts": {rule: breach.total for rule, breach in ranked}},
        )

    def _errors(self, ranked: Iterable[tuple[str, _Breach]]) -> Iterable[FieldError]:
        for rule, breach in ranked:
            column = self.columns.get(RULES[rule].column)
            # Lines are counted from 1 as editors do, list items from 0 as JSON pointers do.
            place = breach.places[0] - (self.unit == "row")
            pointer = f"/{self.unit}s/{place}/{column}"
            yield FieldError(pointer, rule, self._sentence(rule, breach), remedy=RULES[rule].remedy)

    def _sentence(self, rule: str, breach: _Breach) -> str:
        places = ", ".join(map(str, breach.places)) + (", ..." if breach.total > len(breach.places) else "")
        what = f"row {RULES[rule].singular}" if breach.total == 1 else f"rows {RULES[rule].plural}"
        unit = self.unit if len(breach.places) == 1 else f"{self.unit}s"
        return f"{breach.total} {what} ({unit} {places})"
