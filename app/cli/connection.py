"""From a command's context to the client of the service it speaks to."""

import typer

from app.cli.main import Place
from app.client import Tunesmith
from app.settings import Settings

RETRY_SECONDS = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # these are read, not bound


def connect(context: typer.Context) -> Tunesmith:
    """Open the client; without --url and TUNESMITH_URL the service is where this machine's settings put it."""
    place: Place = context.obj
    settings = Settings()
    key = settings.api_key
    return Tunesmith(
        place.url or local_url(settings),
        place.api_key or (key.get_secret_value() if key is not None and place.url is None else None),
        retry_seconds=RETRY_SECONDS,
    )


def local_url(settings: Settings) -> str:
    """Give the address at which this machine reaches the service of these settings."""
    host = _ANYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
