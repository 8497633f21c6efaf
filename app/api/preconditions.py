"""``If-Match`` and ``If-None-Match``: a change happens only if nobody changed the thing since it was seen."""

from typing import Annotated

from fastapi import Header

from app.errors import PreconditionFailed
from app.store import models

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=100,
        description="The ETag you have seen: the change happens only if nobody changed it since; else 412.",
        examples=['"7"'],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=100, description="`*`: only if it is not set yet.")
]


def expected_revision(if_match: str | None, if_none_match: str | None) -> int | None:
    """Read the precondition: a revision, 0 for what must not exist, or None for no condition.

    Raises PreconditionFailed ``invalid-precondition``.
    """
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise _bad_precondition("If-None-Match", "Only If-None-Match: * makes sense here.")
        return 0
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return models.ANY_REVISION
    revision = if_match.strip().removeprefix("W/").strip('"')
    if not revision.isdecimal() or len(revision) > 9:
        raise _bad_precondition("If-Match", "Send the ETag as it was answered.")
    return int(revision)


def etag(revision: int) -> str:
    """Write a revision as an ETag."""
    return f'"{revision}"'


def _bad_precondition(header: str, remedy: str) -> PreconditionFailed:
    return PreconditionFailed(f"{header} is not an ETag of this.", code="invalid-precondition", remedy=remedy)
