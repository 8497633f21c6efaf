"""Who asks, where the calls of an alias are split: a field of the body, else a header, as no dialect has the field."""

from typing import Annotated

from fastapi import Header, Request

from app.schemas.predictions import PredictRequest

ROUTING_KEY_HEADER = "X-Routing-Key"

RoutingKeyHeader = Annotated[
    str | None,
    Header(
        alias=ROUTING_KEY_HEADER,
        description="Who asks, in a word of your own: where an alias has a canary, the same key is answered by the "
        "same version. A `routing_key` in the body takes precedence.",
        examples=["account-4711"],
    ),
]
"""The header as a parameter of an endpoint."""


def caller_of(request: Request, wanted: PredictRequest) -> str | None:
    """Give the routing key of a call; an empty header is none. Asked only where calls are split."""
    return wanted.routing_key or request.headers.get(ROUTING_KEY_HEADER) or None
