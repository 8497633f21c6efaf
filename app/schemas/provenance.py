"""Provenance: where rows that nobody uploaded came from."""

from typing import Any

from app.schemas.base import Resource


class SourceFile(Resource):
    """One file that was read."""

    path: str
    """Inside the repository or folder."""
    bytes: int
    """Its size."""
    sha256: str
    """Hash of its content."""


class Provenance(Resource):
    """Where the rows of an imported dataset came from: enough to fetch the same ones again."""

    source: str
    """Kind of source."""
    options: dict[str, Any]
    """Every option with its value."""
    dataset: str
    """Id on the hub, or path in the operator's folder."""
    endpoint: str | None = None
    """The hub, or the mirror of it, that answered."""
    revision: str | None = None
    """Commit on the hub."""
    config: str | None = None
    """Configuration of the dataset that was read."""
    files: list[SourceFile]
    """What was read."""
    libraries: dict[str, str] = {}
    """Versions of what read it."""
    notes: list[str] = []
    """What a reader of scores must know about how the rows were made."""
