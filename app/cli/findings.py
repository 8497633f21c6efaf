"""How a diagnosis is said on a terminal: in one line while a job runs, whole when it is shown."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape

from app.schemas.diagnoses import Change, ChangeValue, Diagnosis

SEVERITIES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


def in_a_line(data: Mapping[str, Any]) -> str:
    """Say what was found, why one may think so, and the most promising change."""
    changes = data.get("changes") or []
    advice = f" Try {_change(changes[0]['field'], changes[0].get('to'))}." if changes else ""
    return f"advice: {data['title']}. {data['evidence']}{advice}"


def in_full(diagnosis: Diagnosis) -> Iterator[str]:
    """Give the lines of a diagnosis, with markup."""
    colour = SEVERITIES[diagnosis.severity]
    yield f"[{colour}]{diagnosis.severity}[/] {escape(diagnosis.title)}"
    yield f"  {escape(diagnosis.evidence)}"
    yield f"  [dim]{escape(diagnosis.cause)}[/]"
    for change in diagnosis.changes:
        yield f"  try {escape(_words(change))}"


def _words(change: Change) -> str:
    before = "" if change.from_ is None else f" (was {_value(change.from_)})"
    return f"{_change(change.field, change.to)}{before}: {change.why}"


def _change(field: str, to: ChangeValue) -> str:
    """Write a value as a setting; advice about the data or the base model is words."""
    return f"{field}: {to}" if isinstance(to, str) and " " in to else f"{field} {_value(to)}"


def _value(value: ChangeValue) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
