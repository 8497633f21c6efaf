"""Reads bodies and parameters strictly, before the framework does: size, media type, JSON grammar, unknown names."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from app.api.headers import headers_of
from app.api.problems import of_parameters
from app.errors import AppError, FieldError, PayloadTooLarge, UnsupportedMediaType, nearest
from app.preflight import fields, strict_json

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route whose JSON body and query are read by our rules; pydantic's findings become ours."""

    def get_route_handler(self) -> Handler:
        """Put the strict reading before the framework's handler."""
        handle = super().get_route_handler()
        model = _body_model(self)
        parameters = _parameter_names(self)

        async def strict(request: Request) -> Response:
            if request.scope["query_string"]:
                refuse_unknown_parameters(request, parameters)
            if model is not None:
                request = _Parsed(request, await read_json(request))
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise _explained(error, model, request) from None

        return strict


class _Parsed(Request):
    """A request whose JSON body has been read; the framework takes the parsed value from here."""

    def __init__(self, request: Request, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self.value = value

    async def body(self) -> bytes:
        """Say that there is a body; nobody needs its bytes any more."""
        return b"{}"

    async def json(self) -> Any:
        """Give the parsed value."""
        return self.value


async def read_json(request: Request) -> Any:
    """Read a JSON body of at most ``max_body_bytes``; None for an empty one.

    Raises PayloadTooLarge ``body-too-large`` before anything is parsed, UnsupportedMediaType, MalformedRequest.
    """
    data = await read_bytes(request, request.app.state.settings.max_body_bytes)
    if not data.strip():
        return None
    media_type = media_type_of(request)
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(
            "The body is not declared as JSON.",
            code="unsupported-media-type",
            remedy="Send it with the header Content-Type: application/json.",
        )
    return strict_json.parse(data)


async def read_bytes(request: Request, most: int) -> bytes:
    """Read a body, chunked or not, and stop as soon as it is longer than ``most`` bytes."""
    declared = headers_of(request.scope).get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > most:
        raise too_large(most)
    chunks, size, is_whole = [], 0, False
    while not is_whole:  # as starlette's stream does, in fewer steps
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise too_large(most)
        is_whole = not message.get("more_body", False)
    return b"".join(chunks)


def too_large(most: int) -> AppError:
    """Make the error for a JSON body over the limit."""
    return PayloadTooLarge(
        f"The body is larger than {most} bytes.",
        code="body-too-large",
        remedy="Send less; datasets go to POST /datasets, which takes far more.",
        extra={"limit_bytes": most},
    )


def media_type_of(request: Request) -> str:
    """Give the media type without its parameters, in lower case."""
    given = headers_of(request.scope).get(b"content-type", b"").decode("latin-1")
    return given.split(";", 1)[0].strip().lower()


def _body_model(route: APIRoute) -> type[BaseModel] | None:
    if route.body_field is None:
        return None
    annotation = route.body_field.field_info.annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{route.path}: a strict body is one pydantic model")
    return annotation


def _parameter_names(route: APIRoute) -> frozenset[str]:
    """Name the query parameters a route knows: declared in its signature, or written in its OpenAPI extra."""
    declared = {field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)}
    extra = (route.openapi_extra or {}).get("parameters", [])
    return frozenset(declared | {parameter["name"] for parameter in extra if parameter["in"] == "query"})


def refuse_unknown_parameters(request: Request, known: frozenset[str]) -> None:
    """Raise Unprocessable ``unknown-parameter`` for query parameters that a route does not know."""
    errors = []
    for name in request.query_params:
        if name.split("[", 1)[0] not in known:
            near = nearest(name[:100], known)
            remedy = f"Did you mean {near}?" if near else None
            place = f"/query/{name[:100]}"
            errors.append(FieldError(place, "unknown-parameter", "is not a known parameter", sorted(known), remedy))
    if errors:
        raise fields.problem(errors[:20])


def _explained(error: RequestValidationError, model: type[BaseModel] | None, request: Request) -> AppError:
    findings = error.errors()
    of_body = [finding | {"loc": finding["loc"][1:]} for finding in findings if finding["loc"][0] == "body"]
    if model is not None and of_body and isinstance(request, _Parsed):
        return fields.explain(model, of_body, request.value)
    return of_parameters(findings)
