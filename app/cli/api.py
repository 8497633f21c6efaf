"""``python -m app api``: the HTTP API in this process."""

import os
import sys

from app.api.auth import require_key_off_loopback
from app.cli.binding import HostOption, PortOption, settings_with


def api(host: HostOption = None, port: PortOption = None) -> None:
    """Run the HTTP API alone; SIGTERM lets it finish what it has begun."""
    settings = settings_with(host, port)
    require_key_off_loopback(settings)
    chosen = {"TUNESMITH_HOST": settings.host, "TUNESMITH_PORT": str(settings.port)}
    command = [sys.executable, "-m", "app.server"]
    os.execve(sys.executable, command, os.environ | chosen)  # noqa: S606  # a fixed list of arguments, and no shell
