"""The outermost layer: each request gets an id, each answer its headers, each error its problem, each call its line."""

import logging
import re
import time
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app import telemetry
from app.api import problems
from app.api.headers import headers_of
from app.errors import AppError, HeadersTooLarge
from app.ids import new_id
from app.logging import frames, get_logger

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_MOST_HEADERS, _MOST_HEADER_BYTES = 100, 32 * 1024
_PREFIX = "/v1/"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

log = get_logger(__name__)
_lines = logging.getLogger(__name__)


class RequestContext:
    """Pure ASGI: costs microseconds, and works for streams too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        bind_contextvars(request_id=answer.request_id)  # a request is a task of its own: this ends with it
        try:
            _check_headers(scope)
            await self.app(scope, receive, answer.send)
        except AppError as error:
            await answer.give_up(error, receive)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as error:  # noqa: BLE001 - the last place that can answer
            log.error("Unforeseen error", error_type=type(error).__name__, error_at=frames(error.__traceback__))
            await answer.give_up(problems.internal(), receive)
        finally:
            answer.account()


class VersionPrefix:
    """Pure ASGI: /v1/PATH is PATH, for clients that want to pin the version of this API."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the prefix off, so that nothing below knows of it."""
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            scope["path"] = scope["path"][len(_PREFIX) - 1 :]
            scope["raw_path"] = quote(scope["path"]).encode()
        await self.app(scope, receive, send)


class _Answer:
    """What is known of the answer while it is sent."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send
        self.started = time.perf_counter()
        self.status: int | None = None
        wished = headers_of(scope).get(b"x-request-id", b"")
        self.request_id = wished.decode() if _REQUEST_ID.fullmatch(wished) else new_id("req")
        scope["state"].update(request_id=self.request_id, arrived=self.started)

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.setdefault("headers", [])
            names = {name.lower() for name, _ in given}
            added = [header for header in _SECURITY if header[0] not in names]
            message["headers"] = [*given, *added, (b"x-request-id", self.request_id.encode())]
        await self._send(message)

    async def give_up(self, error: AppError, receive: Receive) -> None:
        """Answer with the problem, unless an answer is already under way: then cut it off."""
        if error.status >= 500:
            log.warning("Request failed", code=error.code, status=error.status)
        if self.status is not None:
            raise error
        await problems.render(error, self.scope)(self.scope, receive, self.send)

    def account(self) -> None:
        """Write the line and the metrics of the call; a client that hung up counts as 499."""
        seconds = time.perf_counter() - self.started
        route = getattr(self.scope.get("route"), "path", "(none)")
        method = self.scope["method"] if self.scope["method"] in _METHODS else "(other)"
        status = self.status or 499
        answers, times = telemetry.http_meters(method, route, status)
        answers.inc()
        times.observe(seconds)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        if _lines.isEnabledFor(level):  # a line that is filtered out later costs a hundred times more than this
            log.log(level, "request", method=method, route=route, status=status, ms=round(seconds * 1000, 2))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _check_headers(scope: Scope) -> None:
    headers = scope["headers"]
    size = sum([len(name) + len(value) for name, value in headers])
    if len(headers) > _MOST_HEADERS or size > _MOST_HEADER_BYTES:
        raise HeadersTooLarge(
            f"The request has {len(headers)} headers of {size} bytes together.",
            code="headers-too-large",
            remedy=f"Send at most {_MOST_HEADERS} headers and {_MOST_HEADER_BYTES} bytes.",
        )
