"""Every error as application/problem+json: ours, the framework's and the unforeseen."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from app.api.facades.errors import members
from app.errors import AppError, FieldError, InternalError, MalformedRequest, MethodNotAllowed, NotFound, Unprocessable
from app.preflight.fields import problem as field_problem
from app.schemas.problems import Problem

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {429: "1", 503: "5"}


def render(error: AppError, scope: Scope) -> Response:
    """Make the answer for an error; ``request_id`` ties it to the log."""
    body = error.problem() | {"request_id": request_id_of(scope)}
    body |= members(error, scope["method"], scope["path"])
    headers = dict(error.headers)
    if error.status in _RETRY_AFTER:
        headers.setdefault("Retry-After", _RETRY_AFTER[error.status])
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return Response(content, error.status, headers, media_type=MEDIA_TYPE)


def request_id_of(scope: Scope) -> str:
    """Give the id that the outermost middleware gave the request."""
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id


def internal() -> InternalError:
    """Make the answer for what nobody foresaw: it tells nothing but where to look."""
    return InternalError(
        "Something went wrong on our side.",
        code="internal-error",
        remedy="Look for the request_id in the log of the service, and report what you find.",
    )


def install(app: FastAPI, methods_at: Callable[[str], list[str]]) -> None:
    """Translate the framework's own errors; AppErrors are rendered by the outermost middleware.

    ``methods_at`` names the methods that a path takes.
    """

    async def on_http_exception(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return render(_of_http(request, error, methods_at), request.scope)

    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return render(of_parameters(error.errors()), request.scope)


def _of_http(request: Request, error: HTTPException, methods_at: Callable[[str], list[str]]) -> AppError:
    if error.status_code == 404:
        return NotFound(
            "There is nothing at this path.", code="route-not-found", remedy="See /docs for the paths there are."
        )
    if error.status_code == 405:
        allowed = ", ".join(methods_at(request.url.path))
        return MethodNotAllowed(
            f"{request.method if request.method.isalpha() else 'This method'} is not allowed at this path.",
            code="method-not-allowed",
            remedy=f"Use {allowed}." if allowed else "See /docs for the methods there are.",
            headers={"Allow": allowed or "GET"},
        )
    if error.status_code < 500:
        return MalformedRequest("The request cannot be read.", code="malformed-request", remedy="See /docs.")
    return internal()


def of_parameters(findings: Sequence[Any]) -> Unprocessable:
    """Make the problem for query parameters, headers and path parameters that break a rule."""
    errors = []
    for finding in findings[:20]:
        place, *rest = finding["loc"]
        words = str(finding["msg"]).replace("Input should be", "must be").replace("Field required", "is required")
        errors.append(FieldError("/" + "/".join(map(str, (place, *rest[:1]))), "invalid-parameter", words))
    return field_problem(errors)


def documented(*kinds: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that an endpoint may answer with, for the OpenAPI page."""
    return {kind.status: {"model": Problem, "description": kind.title} for kind in kinds}
