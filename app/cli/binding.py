"""Where a server binds: the options of the commands that start one, and the settings with them."""

from typing import Annotated

import typer

from app.settings import Settings

HostOption = Annotated[str | None, typer.Option(help="Address to bind to; else TUNESMITH_HOST.", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port to bind to; else TUNESMITH_PORT.", show_default=False)
]


def settings_with(host: str | None, port: int | None) -> Settings:
    """Read the settings; what the command line says comes first."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return Settings(**given)  # type: ignore[arg-type]
