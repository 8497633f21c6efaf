"""``python -m app api``: the HTTP API in this process."""

import signal
from types import FrameType

import uvicorn

from app.cli.binding import HostOption, PortOption, settings_with
from app.logging import configure
from app.main import create_app

DRAIN_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-outs of common load balancers, so that it is they who close a connection."""


def api(host: HostOption = None, port: PortOption = None) -> None:
    """Run the HTTP API alone; SIGTERM lets it finish what it has begun."""
    settings = settings_with(host, port)
    configure(settings)
    signal.signal(signal.SIGTERM, _already_heard)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _already_heard(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: uvicorn raises the signal again after its orderly end, which would make that look like a crash."""
