"""How the service is: one line a part."""

from typing import Literal

from app.schemas.base import Resource


class Alive(Resource):
    """The process answers."""

    status: Literal["ok"] = "ok"
    """Always ok: a process that is not does not answer."""


class Check(Resource):
    """One part of the service."""

    status: Literal["ok", "degraded", "down"]
    """degraded: the service works without it for a while; down: it does not."""
    detail: str
    """What was found, and what to do about it."""


class Readiness(Resource):
    """Whether requests can be served, and what is missing."""

    status: Literal["ready", "degraded"]
    """degraded: everything is answered, but something runs slower or not at all until it is mended."""
    checks: dict[str, Check]
    """What was found, by part."""
