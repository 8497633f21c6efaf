"""Retention: which versions go, and which stay although they are old."""

from typing import Annotated

from pydantic import Field

from app.schemas.base import Resource, StrictModel


class PruneRequest(StrictModel):
    """Delete all but the newest versions of a model."""

    keep_last: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many of the newest versions stay."""
    dry_run: bool = False
    """Only say what would go."""


class DeletedVersion(Resource):
    """A version that goes."""

    version: int
    """Its number, which never comes back."""
    bytes: int
    """Size of its files, which are removed later."""


class KeptVersion(Resource):
    """An old version that stays."""

    version: int
    """Its number."""
    reason: str
    """What it is needed for."""


class PruneResult(Resource):
    """What was deleted, or would be."""

    dry_run: bool
    """True: nothing was."""
    deleted: list[DeletedVersion]
    """Newest first."""
    kept: list[KeptVersion]
    """Versions that are older than the newest ``keep_last``, and needed."""
    bytes: int
    """Of all that goes."""
