"""The manifest of a version as the registry keeps it."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from app.artifacts.bundle import Manifest
from app.errors import Unavailable


class StoredVersion(Protocol):
    """A version's row."""

    @property
    def model_name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def manifest(self) -> Mapping[str, Any]: ...


def stored_manifest(row: StoredVersion) -> Manifest:
    """Read the manifest of a version. Raises Unavailable ``unreadable-manifest``."""
    try:
        return Manifest.model_validate(row.manifest)
    except ValidationError as error:
        places = sorted({".".join(map(str, finding["loc"])) for finding in error.errors()})
        raise Unavailable(
            f"The manifest of {row.model_name}:{row.version} cannot be read by this release: {', '.join(places[:5])}.",
            code="unreadable-manifest",
            remedy="Serve it with the release that trained it, or train the version again.",
        ) from None
