"""``python -m app up``: the whole service on one machine."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.binding import HostOption, PortOption, settings_with
from app.cli.connection import local_url
from app.cli.console import output
from app.cli.program import program
from app.supervisor import Supervisor


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
