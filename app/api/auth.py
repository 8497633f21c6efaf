"""Who may ask: the Host header, the origin of browser writes, the bearer key and its scopes; default is to refuse."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from app import bearer
from app.api import scopes
from app.api.headers import RequestHeaders, headers_of
from app.api.keyring import Caller, Keyring
from app.errors import Forbidden, MalformedRequest
from app.schemas.keys import SCOPES
from app.settings import Settings

PUBLIC = scopes.PUBLIC | {"/docs", "/", "/ui"}
"""What answers without a key: health, and empty pages, of the docs and of the dashboard, which ask for a key to fill
themselves with."""
_PAGES = "/ui/"
_TYPES_OF_PROBLEMS = "/problems/"
"""Leads to the docs; says nothing that an error answer does not."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def require_key_off_loopback(settings: Settings) -> None:
    """Refuse to start where strangers could come in; raises Forbidden ``api-key-required``."""
    if settings.api_key is not None and len(settings.api_key.get_secret_value()) < 16:
        raise Forbidden(
            "TUNESMITH_API_KEY is shorter than 16 characters.",
            code="api-key-too-short",
            remedy="Use a random one, for instance of: openssl rand -hex 32",
        )
    if settings.api_key is not None and bearer.is_key(settings.api_key.get_secret_value()):
        raise Forbidden(
            "TUNESMITH_API_KEY holds a key that was made with POST /keys; here it would be allowed everything.",
            code="api-key-is-named",
            remedy="Start the service with a random value of its own, or without; named keys are for its clients.",
        )
    if settings.api_key is None and not is_loopback(settings.host):
        raise Forbidden(
            f"Binding to {settings.host} without a key would let anyone in.",
            code="api-key-required",
            remedy="Set TUNESMITH_API_KEY, for instance to the output of openssl rand -hex 32, or bind to 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Say whether an address is reachable from this machine only."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith((_TYPES_OF_PROBLEMS, _PAGES))


class Guard:
    """Pure ASGI: stands before every route, so no route can be forgotten."""

    def __init__(self, app: ASGIApp, settings: Settings, keyring: Keyring, rules: scopes.Rulebook) -> None:
        self.app = app
        self._keyring = keyring
        self._rules = rules
        hosts = settings.allowed_hosts
        # Without a key the Host header is what keeps a web page from reaching us through DNS rebinding.
        is_open = "*" in hosts and settings.api_key is None
        self._hosts = _LOOPBACK if is_open else tuple(host.lower() for host in hosts)
        self._answers_to = lru_cache(maxsize=256)(self._is_known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass or raise the AppError that says why not."""
        if scope["type"] == "http":
            headers = headers_of(scope)
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            if not _is_public(scope["path"]):
                caller = self._keyring.caller(_key_in(scope) if b"authorization" in headers else None)
                self._check_scopes(caller, scope)
                scope["state"]["caller"] = caller
        await self.app(scope, receive, send)

    def _check_host(self, headers: RequestHeaders) -> None:
        if not self._answers_to(headers.get(b"host", b"")):
            raise MalformedRequest(
                "The Host header names a host that this service does not answer to.",
                code="unknown-host",
                remedy="Add the host to TUNESMITH_ALLOWED_HOSTS.",
            )

    def _is_known(self, header: bytes) -> bool:
        host = host_of(header.decode("latin-1"))
        return "*" in self._hosts or any(
            host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in self._hosts
        )

    def _check_origin(self, method: str, headers: RequestHeaders) -> None:
        """A browser tells where a write comes from; other sites may not write with the user's network position."""
        if method in _READING:
            return
        if _is_foreign(headers) or headers.get(b"sec-fetch-site") in {b"cross-site", b"same-site"}:
            raise Forbidden(
                "A page of another site may not write here.",
                code="cross-origin-request",
                remedy="Call the service from its own origin or from outside a browser.",
            )

    def _check_scopes(self, caller: Caller, scope: Scope) -> None:
        if caller.is_admin:
            return
        needed = self._rules.needed(scope["method"], scope["path"])
        if needed is not None and caller.scopes.isdisjoint(needed):
            has = [name for name in SCOPES if name in caller.scopes]
            wanted = " or ".join(needed)
            raise Forbidden(
                f"The key {caller.name} may not do this: it lacks the scope {wanted}.",
                code="scope-missing",
                remedy=f"Use a key with the scope {wanted}; an admin can make one with POST /keys.",
                extra={"needed_scopes": list(needed), "scopes": has},
            )


def _is_foreign(headers: RequestHeaders) -> bool:
    origin = headers.get(b"origin")
    if origin is None:
        return False
    host = headers.get(b"host", b"").decode("latin-1")
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() != host.lower()
    except ValueError:  # no address at all
        return True


def _key_in(scope: Scope) -> str | None:
    """Give the bearer key of a request; None where there is none, or more than one."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return key.strip() if scheme.lower() == "bearer" else None


def host_of(header: str) -> str:
    """Give the host of a Host header without its port, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
