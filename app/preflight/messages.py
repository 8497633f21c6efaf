"""What the API tells the parsing process, and what comes back; both are JSON files in one private folder."""

from typing import Any, Literal

from pydantic import BaseModel

from app.errors import AppError, DatasetRefused, FieldError, PayloadTooLarge, StorageFull, Unprocessable
from app.schemas.datasets import DatasetOptions, DatasetProfile, FileFormat

UPLOAD = "upload"
ORDER = "order.json"
ROWS = "rows.jsonl"
OUTCOME = "outcome.json"

_KINDS: dict[str, type[AppError]] = {
    kind.__name__: kind for kind in (DatasetRefused, PayloadTooLarge, StorageFull, Unprocessable)
}


class Limits(BaseModel):
    """How large a dataset may be; sent along, because the parsing process reads no settings."""

    max_rows: int
    max_text_chars: int
    max_labels: int
    memory_bytes: int = 2 * 1024**3
    """Address space of the parsing process."""


class Order(BaseModel):
    """How to read the upload, and how much of it."""

    options: DatasetOptions
    limits: Limits
    only_texts: bool = False
    """Whether labels and splits are left out: the file is to be classified, not learnt from."""


class Accepted(BaseModel):
    """The canonical rows were written."""

    accepted: Literal[True] = True
    name: str | None
    format: FileFormat | Literal["rows"]
    sha256: str
    bytes: int
    profile: DatasetProfile


class Texts(BaseModel):
    """The texts alone were written."""

    accepted: Literal[True] = True
    rows: int
    bytes: int
    sha256: str


class Refused(BaseModel):
    """An AppError on its way to another process."""

    accepted: Literal[False] = False
    kind: str
    detail: str
    code: str
    remedy: str | None
    errors: list[dict[str, Any]]
    extra: dict[str, Any]

    @classmethod
    def of(cls, error: AppError) -> "Refused":
        """Write the error down."""
        kind = type(error).__name__
        return cls(
            kind=kind if kind in _KINDS else DatasetRefused.__name__,
            detail=error.detail,
            code=error.code,
            remedy=error.remedy,
            errors=[item.as_dict() for item in error.errors],
            extra=dict(error.extra),
        )

    def error(self) -> AppError:
        """Make the error again."""
        return _KINDS[self.kind](
            self.detail,
            code=self.code,
            remedy=self.remedy,
            errors=tuple(FieldError(**item) for item in self.errors),
            extra=self.extra,
        )


class Outcome(BaseModel):
    """One of the three."""

    outcome: Accepted | Texts | Refused
