"""``python -m app models`` and ``alias``: the registry."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.connection import connect
from app.cli.console import JsonFlag, ago, output, print_json, size, table_of
from app.cli.program import program
from app.client import Tunesmith
from app.schemas.models import Model, VersionSummary


def models(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show the versions of this one.", metavar="[NAME | download NAME[:N|@ALIAS]]", show_default=False
        ),
    ] = None,
    wanted: Annotated[str | None, typer.Argument(hidden=True)] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="File or folder to download to.", show_default="NAME-vN.zip here"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the models, or the versions of one; or download a version as a zip with a model card.

    See also models diff, models delete and models prune.
    """
    if wanted is not None and name != "download":
        raise typer.BadParameter("a second name is only for download: models download NAME")
    with connect(context) as service:
        if wanted is not None:
            _download(service, wanted, to, as_json)
            return
        if name is not None:
            versions = service.versions(name)
            print_json(versions) if as_json else output.print(_versions(versions))
            return
        found = list(service.models())
    if as_json:
        print_json(found)
    else:
        output.print(_models(found) if found else f"No models. Train one: {program()} train FILE --model NAME")


def alias(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The model.")],
    alias: Annotated[str, typer.Argument(help="The alias, champion for one.")],
    version: Annotated[int, typer.Argument(min=1, help="The version it is to name.")],
    force: Annotated[bool, typer.Option("--force", help="Move although its policy says no; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.", show_default=False)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Point an alias at a version; champion is what a plain model name means.

    See also alias check, alias policy, alias history and alias rollback.
    """
    if force and reason is None:
        raise typer.BadParameter("--force needs --reason: say why the policy is overruled")
    with connect(context) as service:
        moved = service.set_alias(name, alias, version, force=force, reason=reason)
    if as_json:
        print_json(moved)
    else:
        output.print(f"{escape(name)}@{escape(moved.alias)} is version {moved.version}")


def _download(service: Tunesmith, wanted: str, to: Path | None, as_json: bool) -> None:
    name, number = _version_of(service, wanted)
    place = to or Path()
    if place.is_dir():
        place = place / f"{name}-v{number}.zip"
    service.download(name, number, place)
    if as_json:
        output.print_json(json.dumps({"model": name, "version": number, "file": str(place)}))
    else:
        written = size(place.stat().st_size)
        output.print(f"Version {number} of {escape(name)} is in [bold]{escape(str(place))}[/], {written}.")


def _version_of(service: Tunesmith, wanted: str) -> tuple[str, int]:
    """Read NAME, NAME:N or NAME@ALIAS; a plain name means the version that answers predictions."""
    name, colon, number = wanted.partition(":")
    if colon:
        if not number.isdecimal():
            raise typer.BadParameter("a version is written NAME:N, N a number")
        return name, int(number)
    name, at, alias = wanted.partition("@")
    model = service.model(name)
    if not at:
        return name, model.serving_version
    found = [entry.version for entry in model.aliases if entry.alias == alias]
    if not found:
        raise typer.BadParameter(f"{name} has no alias {alias}")
    return name, found[0]


def _models(found: Sequence[Model]) -> Table:
    table = table_of("model", "serves", "newest", "aliases", "updated")
    for item in found:
        aliases = ", ".join(f"{alias.alias} -> {alias.version}" for alias in item.aliases)
        table.add_row(
            escape(item.name),
            str(item.serving_version),
            str(item.latest_version),
            escape(aliases or "-"),
            ago(item.updated_at),
        )
    return table


def _versions(versions: Sequence[VersionSummary]) -> Table:
    table = table_of("version", "aliases", "base model", "validation f1", "test f1", "size", "made")
    for item in versions:
        scores = [item.metrics.get(f"{split}/f1_macro") for split in ("validation", "test")]
        table.add_row(
            str(item.version),
            escape(", ".join(item.aliases) or "-"),
            escape(item.base_model.id),
            *("-" if score is None else f"{score:.4f}" for score in scores),
            size(item.bytes),
            ago(item.created_at),
        )
    return table
