"""``python -m app gc``: remove files that nothing refers to any more."""

from typing import Annotated

import typer
from pydantic import BaseModel
from rich.markup import escape

from app.artifacts.store import store_of
from app.cli.console import JsonFlag, output, print_json, size, table_of
from app.retention.collecting import Collector
from app.settings import Settings
from app.store.engine import Database


class Removed(BaseModel):
    """One thing that was, or would be, removed."""

    kind: str
    place: str
    bytes: int


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="Leave alone what is younger, or was deleted or ended since.")
    ] = 24.0,
    as_json: JsonFlag = False,
) -> None:
    """Remove files that nothing refers to any more, from the artifact store and from this machine's data folder.

    Speaks to the database and the artifact store of the settings, not to the service, which may go on running.
    """
    settings = Settings()
    database = Database(settings.resolved_database_url)
    try:
        collector = Collector(database, store_of(settings), settings.data_dir, grace_hours * 3600)
        found = []
        for garbage in list(collector.find()):
            if not dry_run:
                garbage.remove()
            found.append(Removed(kind=garbage.kind, place=garbage.place, bytes=garbage.bytes))
    finally:
        database.close()
    if as_json:
        print_json(found)
        return
    if found:
        table = table_of("kind", "place", "size")
        for item in found:
            table.add_row(item.kind, escape(item.place), size(item.bytes))
        output.print(table)
    total = size(sum(item.bytes for item in found))
    output.print(f"{'Would remove' if dry_run else 'Removed'} {len(found)} things, {total}.")
