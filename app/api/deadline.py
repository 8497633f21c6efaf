"""Until when a client wants its answer: a header with milliseconds, counted from the arrival of the request."""

import re
from typing import Annotated

from fastapi import Header, Request

from app.api.headers import headers_of
from app.errors import FieldError, Unprocessable

DEADLINE_HEADER = "X-Deadline-Ms"
LONGEST_MS = 600_000
_NAME = DEADLINE_HEADER.lower().encode()

_WHOLE = re.compile(r"[0-9]{1,9}")

DeadlineMs = Annotated[
    str | None,
    Header(
        alias=DEADLINE_HEADER,
        description=f"Milliseconds after which the answer is of no use any more, 1 to {LONGEST_MS}, counted from the "
        "arrival of the request. What is not computed by then is dropped, and the answer is 504.",
        examples=["250"],
    ),
]
"""The header as a parameter of an endpoint."""


def arrival_of(request: Request) -> float:
    """Give the moment when a request arrived, by ``time.perf_counter``."""
    arrived: float = request.scope["state"]["arrived"]
    return arrived


def deadline_of(request: Request) -> float | None:
    """Give the moment until which a request is to be answered, None without a deadline. Raises Unprocessable."""
    given = headers_of(request.scope).get(_NAME)
    if given is None:
        return None
    milliseconds = given.decode("latin-1")
    if not _WHOLE.fullmatch(milliseconds) or not 1 <= int(milliseconds) <= LONGEST_MS:
        words = f"must be a whole number of milliseconds, 1 to {LONGEST_MS}"
        remedy = f"Send for instance {DEADLINE_HEADER}: 250, or leave it out."
        place = f"/header/{DEADLINE_HEADER}"
        raise Unprocessable(
            f"{place} {words}.",
            code="invalid-parameter",
            remedy=remedy,
            errors=(FieldError(place, "invalid-parameter", words, remedy=remedy),),
        )
    return arrival_of(request) + int(milliseconds) / 1e3
