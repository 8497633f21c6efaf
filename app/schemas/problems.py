"""The one shape of every error answer: RFC 9457 problem details."""

from typing import Any, Literal

from pydantic import ConfigDict

from app.schemas.base import Resource


class BrokenRule(Resource):
    """One rule that the request breaks."""

    pointer: str
    """Where: a JSON pointer into the body; ``/query/NAME`` for a query parameter, ``/lines/N`` for a line of a file."""
    rule: str
    """Which rule, for programs: stable."""
    detail: str
    """What is wrong with the value, for people."""
    allowed: Any = None
    """The values that are allowed: a list, or the part of a JSON schema that bounds them."""
    remedy: str | None = None
    """What to send instead."""


class Problem(Resource):
    """Why a request was refused or failed, and what to do about it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/unknown-field",
                    "title": "Unprocessable request",
                    "status": 422,
                    "detail": "/hyperparameters/lr is not a known field.",
                    "code": "unknown-field",
                    "category": "user",
                    "retryable": False,
                    "remedy": "Did you mean learning_rate?",
                    "errors": [
                        {
                            "pointer": "/hyperparameters/lr",
                            "rule": "unknown-field",
                            "detail": "is not a known field",
                            "remedy": "Did you mean learning_rate?",
                        }
                    ],
                    "request_id": "req_019302f4c8d27c31a3b1f0e4d5c6b7a8",
                }
            ]
        },
    )

    type: str
    """``/problems/`` and the code."""
    title: str
    """The kind of problem: the same for all of one status."""
    status: int
    """The HTTP status, once more."""
    detail: str
    """What is wrong, for people."""
    code: str
    """What is wrong, for programs: stable."""
    category: Literal["user", "data", "resource", "conflict", "internal"]
    """Who can mend it: the sender, the sender's data, the operator; or another request was faster."""
    retryable: bool
    """True: the same request may succeed later, after Retry-After seconds."""
    remedy: str | None = None
    """What to do about it."""
    errors: list[BrokenRule] | None = None
    """Every broken rule, when the request has several or the place matters."""
    request_id: str
    """The same as X-Request-Id and in the log of the service."""
