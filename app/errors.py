"""Every error the product raises on purpose; each knows its HTTP status, its stable code and the remedy.

AppError
├── MalformedRequest 400        ├── Unprocessable 422           ├── Overloaded 429
├── Unauthenticated 401         │   ├── DatasetRefused 422      ├── InternalError 500
├── Forbidden 403               │   └── JobFailure 422          ├── Unavailable 503
├── NotFound 404                ├── Conflict 409                └── StorageFull 507
├── MethodNotAllowed 405        ├── PreconditionFailed 412
├── PayloadTooLarge 413         ├── HeadersTooLarge 431
└── UnsupportedMediaType 415    └── DeadlineExceeded 504

A ``JobFailure`` never crosses HTTP as a status: a worker stores it as the ``error`` of the job.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Category = Literal["user", "data", "resource", "conflict", "internal"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: where (JSON pointer), which rule, and how to mend it."""

    pointer: str
    rule: str
    detail: str
    allowed: Any = None
    remedy: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form; absent parts are left out."""
        body = {"pointer": self.pointer, "rule": self.rule, "detail": self.detail}
        if self.allowed is not None:
            body["allowed"] = self.allowed
        if self.remedy is not None:
            body["remedy"] = self.remedy
        return body


@dataclass(eq=False)
class AppError(Exception):
    """Base of all errors a person may read; ``detail`` says what is wrong, ``remedy`` what to do about it."""

    detail: str
    code: str
    remedy: str | None = None
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    category: ClassVar[Category] = "internal"
    retryable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    def problem(self) -> dict[str, Any]:
        """Give the RFC 9457 members that do not depend on the request."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "category": self.category,
            "retryable": self.retryable,
        }
        if self.remedy is not None:
            body["remedy"] = self.remedy
        if self.errors:
            body["errors"] = [error.as_dict() for error in self.errors]
        return body | dict(self.extra)


class MalformedRequest(AppError):
    status, title, category = 400, "Malformed request", "user"


class Unauthenticated(AppError):
    status, title, category = 401, "Not authenticated", "user"


class Forbidden(AppError):
    status, title, category = 403, "Forbidden", "user"


class NotFound(AppError):
    status, title, category = 404, "Not found", "user"


class MethodNotAllowed(AppError):
    status, title, category = 405, "Method not allowed", "user"


class Conflict(AppError):
    status, title, category = 409, "Conflict", "conflict"


class PreconditionFailed(AppError):
    status, title, category = 412, "Precondition failed", "conflict"


class PayloadTooLarge(AppError):
    status, title, category = 413, "Payload too large", "user"


class UnsupportedMediaType(AppError):
    status, title, category = 415, "Unsupported media type", "user"


class HeadersTooLarge(AppError):
    status, title, category = 431, "Request header fields too large", "user"


class Unprocessable(AppError):
    status, title = 422, "Unprocessable request"
    category: ClassVar[Category] = "user"


class DatasetRefused(Unprocessable):
    title = "Dataset refused"
    category: ClassVar[Category] = "data"


class Overloaded(AppError):
    status, title, category, retryable = 429, "Too many requests", "resource", True


class InternalError(AppError):
    status = 500


class Unavailable(AppError):
    status, title, category, retryable = 503, "Service unavailable", "resource", True


class DeadlineExceeded(AppError):
    status, title, category, retryable = 504, "Deadline exceeded", "resource", True


class StorageFull(AppError):
    status, title, category, retryable = 507, "Insufficient storage", "resource", True


@dataclass(eq=False)
class JobFailure(AppError):
    """Why a job ended ``failed``. ``final`` failures are never retried."""

    kind: Category = "data"
    final: bool = True

    status, title = 422, "Job failed"

    def as_dict(self, phase: str | None) -> dict[str, Any]:
        """Give the form that the ``error`` field of a job holds: a problem without its HTTP part."""
        body: dict[str, Any] = {
            "code": self.code,
            "category": self.kind,
            "detail": self.detail,
            "remedy": self.remedy,
            "phase": phase,
        }
        if self.errors:
            body["errors"] = [error.as_dict() for error in self.errors]
        return body | dict(self.extra)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Name the known word that ``name`` most likely meant, or None when nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
