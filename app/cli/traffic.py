"""``python -m app traffic``: which version answers which part of the calls of an alias."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, output, print_json
from app.client import ApiError, Tunesmith
from app.schemas.traffic import AliasTraffic, Canary, Traffic, TrafficWish

Name = Annotated[str, typer.Argument(help="The model.")]
Alias = Annotated[str, typer.Argument(help="The alias, champion for one.")]


def traffic(
    context: typer.Context,
    name: Name,
    alias: Alias,
    canary: Annotated[
        int | None,
        typer.Option(min=1, help="The version that is to answer --percent of the calls.", show_default=False),
    ] = None,
    percent: Annotated[
        float | None, typer.Option(min=0, max=100, help="How much of them, more than 0.", show_default=False)
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Let the version that the alias names answer all calls.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Split although its policy says no; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how the calls of an alias are split; with --canary and --percent split them, with --end end that."""
    if (canary is None) != (percent is None) or (end and canary is not None):
        raise typer.BadParameter("--canary needs --percent and the other way round, and --end excludes both")
    with connect(context) as service:
        if end:
            service.clear_traffic(name, alias, reason=reason)
        elif canary is not None and percent is not None:
            wish = TrafficWish(canary=Canary(version=canary, percent=percent), force=force, reason=reason)
            service.set_traffic(name, alias, wish)
        found = _found(service, name, alias)
    if as_json:
        print_json(Traffic() if found is None else found)
    else:
        _show(name, alias, found)


def _found(service: Tunesmith, name: str, alias: str) -> AliasTraffic | None:
    try:
        return service.traffic(name, alias)
    except ApiError as error:
        if error.problem.code != "traffic-not-found":
            raise
        return None


def _show(name: str, alias: str, found: AliasTraffic | None) -> None:
    called = f"{escape(name)}@{escape(alias)}"
    if found is None:
        output.print(f"All calls of {called} are answered by the version that it names.")
        return
    output.print(f"{called} is version {found.version}, changed {ago(found.updated_at)} by {escape(found.updated_by)}.")
    canary = found.traffic.canary
    if canary is not None:
        output.print(f"Version {canary.version} answers {canary.percent:g} % of its calls as a canary.")
