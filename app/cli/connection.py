"""From a command's context to the client of the service it speaks to."""

import typer

from app.cli.main import Place
from app.client import Tunesmith
from app.settings import Settings

RETRY_SECONDS = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # these are read, not bound


def connect(context: typer.Context) -> Tunesmith:
    """Open the client of the service at --url, else TUNESMITH_URL, else where this machine's settings put it.

    A key of the file .env goes only to the service that the file is about.
    """
    place: Place = context.obj
    settings = Settings()
    key = None if place.url or settings.api_key is None else settings.api_key.get_secret_value()
    return Tunesmith(
        place.url or settings.url or local_url(settings), place.api_key or key, retry_seconds=RETRY_SECONDS
    )


def local_url(settings: Settings) -> str:
    """Give the address at which this machine reaches the service of these settings."""
    host = _ANYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
