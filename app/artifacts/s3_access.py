"""Where an S3-compatible store is and who may use it, as the operator's settings say."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from app.artifacts.keys import split_key
from app.errors import AppError, InternalError, Unprocessable
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach the server; what is empty is found as every AWS client finds it."""

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)


def access_of(settings: Settings) -> S3Access:
    """Take the settings together. Raises Unprocessable ``incomplete-s3-settings`` for half a pair of keys."""
    key_id, secret = (
        "" if value is None else value.get_secret_value()
        for value in (settings.s3_access_key_id, settings.s3_secret_access_key)
    )
    if bool(key_id) != bool(secret):
        missing = "TUNESMITH_S3_SECRET_ACCESS_KEY" if key_id else "TUNESMITH_S3_ACCESS_KEY_ID"
        raise _incomplete(f"{missing} is not set, and the other half of the pair is.", f"Set {missing} too.")
    if settings.s3_endpoint_url and urlsplit(settings.s3_endpoint_url).scheme not in ("http", "https"):
        raise _incomplete("TUNESMITH_S3_ENDPOINT_URL is not a URL.", "Set it to http://HOST:PORT or https://HOST.")
    return S3Access(settings.s3_endpoint_url, settings.s3_region, key_id, secret)


def place_of(url: str) -> tuple[str, str]:
    """Give bucket and prefix of ``s3://BUCKET/PREFIX``; the prefix may be empty and ends with a slash otherwise.

    Raises Unprocessable ``unknown-artifact-store``.
    """
    parts = urlsplit(url)
    prefix = unquote(parts.path).strip("/")
    try:
        if prefix:
            split_key(prefix)
    except InternalError as error:
        raise _unknown() from error
    if not parts.netloc or parts.netloc != parts.hostname or parts.query or parts.fragment:
        raise _unknown()
    return parts.netloc, f"{prefix}/" if prefix else ""


def _incomplete(detail: str, remedy: str) -> AppError:
    return Unprocessable(detail, code="incomplete-s3-settings", remedy=remedy)


def _unknown() -> AppError:
    return Unprocessable(
        detail="The URL of the artifact store names no bucket, or more than a bucket and a plain prefix.",
        code="unknown-artifact-store",
        remedy="Set TUNESMITH_ARTIFACTS_URL to s3://BUCKET or s3://BUCKET/PREFIX; keys have settings of their own.",
    )
