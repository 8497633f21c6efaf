"""``python -m app promote`` and ``rollback``: let a version serve, and take that back."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, errors, output, print_json
from app.cli.promotion import NOT_ALLOWED, Name, checks_table, show_rolled_back

AliasOption = Annotated[str, typer.Option(help="The alias to move; champion is what a plain name means.")]


def promote(
    context: typer.Context,
    name: Name,
    version: Annotated[
        int | None, typer.Argument(min=1, help="The version that is to serve.", show_default="the newest")
    ] = None,
    alias: AliasOption = "champion",
    force: Annotated[bool, typer.Option("--force", help="Move although its policy says no; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> int:
    """Let a version serve: check it against the policy of the alias, then move the alias; rollback takes that back.

    The exit status is 1 when the policy says no; what it missed is shown, and nothing is moved.
    """
    if force and reason is None:
        raise typer.BadParameter("--force needs --reason: say why the policy is overruled")
    with connect(context) as service:
        wanted = service.model(name).latest_version if version is None else version
        found = service.check_alias(name, alias, wanted)
        if found.checks and not as_json:
            output.print(checks_table(found))
        if not (found.allowed or force):
            if as_json:
                print_json(found)
            else:
                errors.print(f"[bold red]Not moved[/]: version {wanted} misses what {escape(alias)} asks for.")
            return NOT_ALLOWED
        moved = service.set_alias(name, alias, wanted, force=force, reason=reason)
    if as_json:
        print_json(moved)
    else:
        output.print(f"[bold green]{escape(name)}@{escape(moved.alias)} is version {moved.version}[/]")
    return 0


def rollback(
    context: typer.Context,
    name: Name,
    alias: AliasOption = "champion",
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let the version serve that did before; again, and it goes back one more."""
    with connect(context) as service:
        show_rolled_back(name, service.roll_back(name, alias, reason=reason), as_json)
