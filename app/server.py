"""``python -m app.server``: the HTTP API in this process, as the settings have it.

Apart from the command line, whose libraries a server would hold for nothing as long as it lives.
"""

import gc
import signal
import sys
from types import FrameType

if __name__ == "__main__":
    # structlog loads rich, 6 MB, for tracebacks in colour, which our log lines never have; it and SQLAlchemy load
    # greenlet, 1 MB, for ways of concurrency that nothing here uses.
    sys.modules["rich"] = None  # type: ignore[assignment]
    sys.modules["greenlet"] = None  # type: ignore[assignment]

import uvicorn

from app.logging import configure
from app.main import create_app
from app.one_write import OneWrite
from app.settings import Settings, get_settings

DRAIN_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-outs of common load balancers, so that it is they who close a connection."""
_YOUNG_OBJECTS = 20_000
"""More than all requests in flight have, so that they are gone before anyone looks for garbage among them."""


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or Ctrl-C, then finish what has begun."""
    configure(settings)
    signal.signal(signal.SIGTERM, _already_heard)
    app = create_app(settings)
    # What is there now stays: looking through it for garbage would hold up every answer for 0.1 s now and then.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=OneWrite,
        proxy_headers=False,  # nothing here asks from where a client came, or by which scheme
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _already_heard(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: uvicorn raises the signal again after its orderly end, which would make that look like a crash."""


if __name__ == "__main__":
    serve(get_settings())
