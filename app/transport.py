"""The client's side of HTTP: one connection pool, retries that do nothing twice, problems turned into exceptions."""

import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic import ValidationError

from app.schemas.problems import BrokenRule, Problem

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class ClientError(Exception):
    """Base of what the client raises; ``detail`` says what is wrong, ``remedy`` what to do about it."""

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class Unreachable(ClientError):
    """Nobody answers at the service's address, or the connection broke again and again."""


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
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)
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
                    raise problem_of(response)
            time.sleep(pause)
        raise AssertionError("pauses() never ends")

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str], timeout: float) -> Iterator[httpx.Response]:
        """Open a response that is read while it comes; not retried. Raises ApiError, Unreachable."""
        try:
            with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                    raise problem_of(response)
                yield response
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Say which address did not answer."""
        return Unreachable(
            f"No service answers at {self.url} ({type(error).__name__}).",
            "Start one with make run or python -m app up, or name another address in TUNESMITH_URL.",
        )


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
