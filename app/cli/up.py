"""``python -m app up``: the whole service on one machine."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.connection import local_url
from app.cli.console import output
from app.cli.program import program
from app.settings import Settings
from app.supervisor import Supervisor

HostOption = Annotated[str | None, typer.Option(help="Address to bind to; else TUNESMITH_HOST.", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port to bind to; else TUNESMITH_PORT.", show_default=False)
]


def up(
    host: HostOption = None,
    port: PortOption = None,
    quickstart: Annotated[
        bool, typer.Option("--quickstart", help="Also train a first model, and ask it three things.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the quick start instead of serving on.")] = False,
) -> int:
    """Start everything on this machine, keep it running, and stop it in order."""
    if once and not quickstart:
        raise typer.BadParameter("--once goes with --quickstart")
    settings = settings_with(host, port)
    supervisor = Supervisor(settings, local_url(settings), lambda line: output.print(escape(line)))
    status = supervisor.run(quickstart=quickstart, once=once)
    if status == 0:
        output.print(f"Start again with: {program()} up")
    return status


def settings_with(host: str | None, port: int | None) -> Settings:
    """Read the settings; what the command line says comes first."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return Settings(**given)  # type: ignore[arg-type]
