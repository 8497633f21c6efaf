"""The two consoles: results go to stdout, errors and asides to stderr."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 160
NARROW = 120
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

# Lines are left to the terminal to wrap: a command that we had wrapped could not be copied. A pipe has no width.
output = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def table_of(first: str, *columns: str) -> Table:
    """Begin a table; its first column, a name or an id, is never cut."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True, overflow="ignore")
    for column in columns:
        table.add_column(column, overflow="ellipsis")
    return table


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print a resource, or several as a list, as the API gives them."""
    kind: TypeAdapter[object] = TypeAdapter(object)
    typer.echo(kind.dump_json(value, indent=2, fallback=str).decode())


def clock(seconds: float | None) -> str:
    """Write a duration for people: 0:07, 12:30, 1:02:03."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def is_narrow() -> bool:
    """Say whether stdout is too narrow for every column of a table."""
    return output.width < NARROW


def ago(moment: datetime) -> str:
    """Say how long ago something was."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "just now"


def size(count: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
