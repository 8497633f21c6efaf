"""``python -m app keys``, ``keys create``, ``keys revoke``: who may ask the service, and what each may do."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, errors, output, print_json, table_of
from app.cli.program import program
from app.client import Tunesmith
from app.schemas.keys import SCOPES, ApiKey, KeyRequest


def keys(
    context: typer.Context,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were taken back.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 100,
    as_json: JsonFlag = False,
) -> None:
    """List the API keys, newest first. See also: keys create NAME, keys revoke NAME."""
    with connect(context) as service:
        found = list(service.keys(revoked=revoked, limit=limit))
    if as_json:
        print_json(found)
        return
    table = table_of("name", "key", "may", "status", "last used", "expires", "made by", "made")
    for item in found:
        table.add_row(
            item.name,
            f"{item.prefix}...",
            ", ".join(item.scopes),
            item.status,
            "never" if item.last_used_at is None else ago(item.last_used_at),
            "never" if item.expires_at is None else f"{item.expires_at:%Y-%m-%d}",
            escape(item.created_by),
            ago(item.created_at),
        )
    output.print(table if found else f"No keys. Make one: {program()} keys create NAME --scope predict")


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what will use it; histories tell by this name who did what.")],
    scope: Annotated[
        list[str], typer.Option(help=f"What it may do: {', '.join(SCOPES)}; may be repeated.", show_default=False)
    ],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, help="Days after which it is refused.", show_default="never")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make an API key and print it: this once, and alone on stdout."""
    wish = KeyRequest.model_validate({"name": name, "scopes": scope, "expires_in_days": expires_in_days})
    with connect(context) as service:
        made = service.create_key(wish.name, wish.scopes, expires_in_days=wish.expires_in_days)
    if as_json:
        print_json(made)
        return
    until = "" if made.expires_at is None else f", until {made.expires_at:%Y-%m-%d}"
    errors.print(
        f"The key of [bold]{made.name}[/], which may {', '.join(made.scopes)}{until}. Nobody can show it again."
    )
    typer.echo(made.key)


def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its name, or its id.", metavar="NAME|ID")],
    force: Annotated[bool, typer.Option("--force", help="Although it is the last that can administer.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Take an API key back: it is refused within seconds."""
    with connect(context) as service:
        found = _find(service, key)
        service.revoke_key(found, force=force)
    if as_json:
        output.print_json(data={"id": found.id, "name": found.name, "revoked": True})
    else:
        output.print(f"{found.name} ({found.prefix}...) is revoked.")


def _find(service: Tunesmith, wanted: str) -> ApiKey:
    """Find a key by its id, or the one of a name that is not revoked."""
    for item in service.keys(revoked=True):
        if item.id == wanted or (item.name == wanted and item.status != "revoked"):
            return item
    raise typer.BadParameter(f"there is no key {wanted}; list them with: {program()} keys")
