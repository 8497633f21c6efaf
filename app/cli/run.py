"""Run one command, and turn what goes wrong into words on stderr and an exit status."""

import functools
import importlib
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from app.cli.console import errors
from app.cli.help import SectionedCommand, TrainCommand
from app.cli.remedies import remedy_of
from app.errors import AppError
from app.transport import ApiError, ClientError, Misconfigured, Unreachable


class Outcome(IntEnum):
    """Exit statuses; the list in main's epilog and in docs/reference/command-line.md."""

    DONE = 0
    JOB_NOT_SUCCEEDED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    SERVICE_FAILED = 5
    INTERRUPTED = 130


_FORMS = {
    "model": "be lower-case letters and digits, with dots, hyphens or underscores between them, 63 at most, such as "
    "messages; to predict also messages:3 or messages@champion",
}
"""What the patterns of fields mean."""


def parser_of(module: str, function: str) -> typer.Typer:
    """Import a command and make the parser of its arguments."""
    command = getattr(importlib.import_module(f"app.cli.{module}"), function)
    parser = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    # --batch_size works as --batch-size does.
    settings = {"token_normalize_func": lambda token: token.replace("_", "-")}
    kind = TrainCommand if function == "train" else SectionedCommand
    parser.command(cls=kind, context_settings=settings)(_interruptible(command))
    return parser


def _interruptible(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Let Ctrl-C end a command with a word, where the command has none of its own."""

    @functools.wraps(command)
    def told(*given: Any, **named: Any) -> int | None:
        try:
            return command(*given, **named)
        except KeyboardInterrupt:
            errors.print("Interrupted.")
            raise typer.Exit(Outcome.INTERRUPTED) from None

    return told


def run(name: str, module: str, function: str, arguments: Sequence[str], place: object) -> int:
    """Parse ``arguments`` for a command, run it, and give its exit status."""
    parser = parser_of(module, function)
    try:
        status = parser(list(arguments), prog_name=f"python -m app {name}", obj=place, standalone_mode=False)
    except Unreachable as error:
        return _explain(error.detail, error.remedy, Outcome.UNREACHABLE)
    except Misconfigured as error:
        return _explain(error.detail, error.remedy, Outcome.USAGE)
    except ApiError as error:
        return _explain_problem(error)
    except (ClientError, AppError) as error:
        return _explain(error.detail, error.remedy, Outcome.SERVICE_FAILED)
    except ValidationError as error:
        return _explain_fields(error)
    except KeyboardInterrupt:
        return Outcome.INTERRUPTED
    return status if isinstance(status, int) else Outcome.DONE


def _explain_problem(error: ApiError) -> Outcome:
    _explain(error.detail, remedy_of(error), Outcome.REFUSED)
    for broken in error.errors:
        if broken.detail != error.detail:
            remedy = f" {broken.remedy}" if broken.remedy and broken.remedy != error.remedy else ""
            errors.print(f"  {escape(f'{broken.pointer}: {broken.detail}{remedy}')}")
    errors.print(f"  [dim]{escape(f'{error.status} {error.code}, request {error.request_id}')}[/]")
    return Outcome.SERVICE_FAILED if error.status >= 500 else Outcome.REFUSED


def _explain_fields(error: ValidationError) -> Outcome:
    """Say what is wrong with each field, once: a union complains for each of its members."""
    wishes: dict[str, list[str]] = {}
    for broken in error.errors(include_url=False, include_context=False, include_input=False):
        # Members of a union have names such as constrained-int, which mean nothing to a person.
        field = "/".join(str(part) for part in broken["loc"] if str(part).isidentifier() or isinstance(part, int))
        words = _FORMS.get(field) if broken["type"] == "string_pattern_mismatch" else None
        words = words or broken["msg"].removeprefix("Value error, ").removeprefix("Input should ")
        wishes.setdefault(field, []).append(words)
    for field, messages in wishes.items():
        words = " or ".join(dict.fromkeys(messages))
        verb = "should " if words.startswith("be ") else ""
        errors.print(f"[bold red]Error[/] {escape(f'{field}: ' if field else '')}{verb}{escape(words)}")
    return Outcome.USAGE


def _explain(detail: str, remedy: str | None, outcome: Outcome) -> Outcome:
    errors.print(f"[bold red]Error[/] {escape(detail)}")
    if remedy is not None:
        errors.print(f"  {escape(remedy)}")
    return outcome
