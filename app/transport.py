"""The client's side of HTTP: one connection pool, retries that do nothing twice, problems turned into exceptions."""

import random
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from app.schemas.problems import BrokenRule, Problem

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
DOWNLOAD_TIMEOUT = 60.0
"""Seconds of silence in a download."""


class ClientError(Exception):
    """Base of what the client raises; ``detail`` says what is wrong, ``remedy`` what to do about it."""

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class Unreachable(ClientError):
    """Nobody answers at the service's address, or the connection broke again and again."""


class Misconfigured(ClientError):
    """The service's address or its key cannot be used as it is written."""


class ApiError(ClientError):
    """The service answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, problem.remedy)
        self.problem = problem
        self.status = problem.status
        self.code = problem.code
        self.retryable = problem.retryable
        self.request_id = problem.request_id
        self.errors: list[BrokenRule] = problem.errors or []


class Transport:
    """Sends requests to one service; safe to share between threads."""

    def __init__(self, url: str, api_key: str | None, *, timeout: float, retry_seconds: float) -> None:
        host = host_of(url)
        self.has_key = api_key is not None
        self._is_local = is_loopback(host)
        headers = {} if api_key is None else {"Authorization": f"Bearer {sendable(api_key)}"}
        # A proxy of the environment is for the world outside; its owner seldom remembers to exempt this machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=not self._is_local)
        self._retry_seconds = retry_seconds
        self.url = url

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, idempotent: bool = True, **body: Any
    ) -> httpx.Response:
        """Send one request, again when the service is busy or the connection breaks, until ``retry_seconds`` are over.

        A POST carries an Idempotency-Key, so that a repeated one is not done twice; ``idempotent=False`` leaves it out.
        Raises ApiError, Unreachable.
        """
        given = dict(headers or {})
        if method == "POST" and idempotent:
            given.setdefault("Idempotency-Key", secrets.token_hex(16))
        deadline = time.monotonic() + self._retry_seconds
        for pause in pauses():
            try:
                response = self._http.request(method, path, headers=given, **body)
            except httpx.TransportError as error:
                if time.monotonic() + pause > deadline:
                    raise self.unreachable(error) from error
            else:
                if response.is_success:
                    return response
                pause = max(pause, _retry_after(response))
                if response.status_code not in RETRIED or time.monotonic() + pause > deadline:
                    raise self.refusal(response)
            time.sleep(pause)
        raise AssertionError("pauses() never ends")

    def download(self, path: str, place: Path) -> Path:
        """Write what ``path`` answers into a file, which appears when all of it is there.

        Raises ApiError, Unreachable.
        """
        unfinished = place.with_name(f".{place.name}.part")
        try:
            with self.stream(path, headers={}, timeout=DOWNLOAD_TIMEOUT) as response, unfinished.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
        return place

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str], timeout: float) -> Iterator[httpx.Response]:
        """Open a response that is read while it comes; not retried. Raises ApiError, Unreachable."""
        try:
            with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                    raise self.refusal(response)
                yield response
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Say which address did not answer, how, and what to do."""
        reason = re.sub(r"^\[[^\]]*\]\s*", "", str(error)).strip(" .") or type(error).__name__
        remedy = (
            "Start one with make run or python -m app up, or name the address of another in TUNESMITH_URL."
            if self._is_local
            else "Check TUNESMITH_URL: the host, the port, http or https; and that the port is open to this machine."
        )
        return Unreachable(f"No service answers at {self.url}: {reason}.", remedy)

    def refusal(self, response: httpx.Response) -> ApiError:
        """Make the error of a refused request; what a missing key means here is known here, not there."""
        error = problem_of(response)
        if error.code != "unauthenticated":
            return error
        if self.has_key:
            error.detail = f"The service at {self.url} does not take this key."
            error.remedy = "Set TUNESMITH_API_KEY to one that was not revoked, or to what the service was started with."
        else:
            error.detail = f"The service at {self.url} wants a key."
            error.remedy = (
                "Set TUNESMITH_API_KEY to one that an admin has made for you, or to the value of that service; docker "
                "compose has it in .env."
            )
        return error


def host_of(url: str) -> str:
    """Give the host of the service's address; raises Misconfigured."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise Misconfigured(
            f"{url!r} is no address of a service.", "Write TUNESMITH_URL as http://HOST:PORT or https://HOST."
        )
    return host


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def sendable(api_key: str) -> str:
    """Give the key if a header can carry it; raises Misconfigured."""
    if not re.fullmatch(r"[\x21-\x7e]+", api_key):
        raise Misconfigured(
            "The key holds a space or a character that no header can carry.",
            "Set TUNESMITH_API_KEY to the value that the service was started with, without quotes or line ends.",
        )
    return api_key


def pauses() -> Iterator[float]:
    """Give ever longer pauses in seconds, each with a random part so that clients do not come back all at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311  # no secret hangs on it
        pause = min(pause * 2, LONGEST_PAUSE)


def problem_of(response: httpx.Response) -> ApiError:
    """Read the problem of an answer; what is not a problem document (a proxy's page) becomes one."""
    try:
        return ApiError(Problem.model_validate_json(response.content))
    except ValidationError:
        problem = Problem(
            type=f"/problems/http-{response.status_code}",
            title=response.reason_phrase,
            status=response.status_code,
            detail=f"{response.url} answered {response.status_code} {response.reason_phrase}, not in Tunesmith's way.",
            code=f"http-{response.status_code}",
            category="internal",
            retryable=response.status_code in RETRIED,
            remedy="Check that TUNESMITH_URL is the address of a Tunesmith service.",
            request_id=response.headers.get("X-Request-Id", ""),
        )
        return ApiError(problem)


def _retry_after(response: httpx.Response) -> float:
    """Read Retry-After in its form as seconds; the form as a date is not sent by the service."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0
