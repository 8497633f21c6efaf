"""``python -m app alias check``, ``policy``, ``history``, ``rollback``: what an alias may name, and what it named."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, output, print_json, table_of
from app.schemas.promotions import AliasMoved, Promotion, PromotionPolicy, RolledBack

Name = Annotated[str, typer.Argument(help="The model.")]
Alias = Annotated[str, typer.Argument(help="The alias, champion for one.")]
NOT_ALLOWED = 1


def check(
    context: typer.Context,
    name: Name,
    alias: Alias,
    version: Annotated[int, typer.Argument(min=1, help="The version that it might name.")],
    as_json: JsonFlag = False,
) -> int:
    """Ask whether an alias may be moved, and move nothing; the exit status is 1 when it may not."""
    with connect(context) as service:
        found = service.check_alias(name, alias, version)
    if as_json:
        print_json(found)
        return 0 if found.allowed else NOT_ALLOWED
    if found.checks:
        output.print(checks_table(found))
    verdict = "[bold green]may[/]" if found.allowed else "[bold red]may not[/]"
    policy = "" if found.checks else "; nothing was to be checked"
    output.print(f"Version {found.version} of {escape(name)} {verdict} take {escape(found.alias)}{policy}.")
    return 0 if found.allowed else NOT_ALLOWED


def checks_table(found: Promotion) -> Table:
    """Draw what was checked, with what was found and what was needed."""
    table = table_of("check", "", "found", "needed", "")
    for item in found.checks:
        table.add_row(
            item.name,
            "[green]ok[/]" if item.passed else "[red]no[/]",
            "-" if item.actual is None else f"{item.actual:.4g}",
            "-" if item.needed is None else f"{item.needed:.4g}",
            escape(item.detail),
        )
    table.columns[-1].overflow = "fold"
    return table


def policy(
    context: typer.Context,
    name: Name,
    alias: Alias,
    file: Annotated[
        Path | None,
        typer.Option("--set", exists=True, dir_okay=False, help="JSON file of the new policy.", show_default=False),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let the alias name any version again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show, as JSON, what a version must keep before an alias may name it; or set that, or remove it."""
    if file is not None and remove:
        raise typer.BadParameter("--set and --remove exclude each other")
    with connect(context) as service:
        if remove:
            service.delete_policy(name, alias)
            if as_json:
                print_json(PromotionPolicy())
            else:
                output.print(f"{escape(name)}@{escape(alias)} may name any version.")
        elif file is not None:
            wish = PromotionPolicy.model_validate_json(file.read_bytes())
            print_json(service.set_policy(name, alias, wish))
        else:
            print_json(service.policy(name, alias))


def history(
    context: typer.Context,
    name: Name,
    alias: Alias,
    limit: Annotated[int, typer.Option(min=1, help="Moves at most.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Show who moved an alias, when, from where to where, and why; newest first."""
    with connect(context) as service:
        moves = list(service.alias_history(name, alias, limit=limit))
    if as_json:
        print_json(moves)
    else:
        output.print(_moves(moves) if moves else f"{escape(name)}@{escape(alias)} was never moved.")


def _moves(moves: list[AliasMoved]) -> Table:
    table = table_of("when", "what", "from", "to", "who", "why")
    for item in moves:
        table.add_row(
            ago(item.at),
            f"{item.kind}[red], forced[/]" if item.forced else item.kind,
            str(item.from_version or "-"),
            str(item.to_version or "-"),
            escape(item.actor),
            escape(item.reason or "-"),
        )
    return table


def rollback(
    context: typer.Context,
    name: Name,
    alias: Alias,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Point an alias at the version that it named before, without any check; again, and it goes back one more."""
    with connect(context) as service:
        show_rolled_back(name, service.roll_back(name, alias, reason=reason), as_json)


def show_rolled_back(name: str, moved: RolledBack, as_json: bool) -> None:
    """Say what an alias names again."""
    if as_json:
        print_json(moved)
    else:
        output.print(
            f"{escape(name)}@{escape(moved.alias)} is version {moved.version} again; it was {moved.rolled_back_from}."
        )
