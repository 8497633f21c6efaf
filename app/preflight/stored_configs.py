"""What config.json says of the network of an own version, read from the artifact store."""

import json
from typing import Any

from app.artifacts.bundle import WEIGHTS
from app.artifacts.store import ArtifactStore
from app.errors import AppError
from app.schemas.jobs import BaseModelRef
from app.store import models
from app.store.engine import Database

_CONFIG = f"{WEIGHTS}/config.json"
_LARGEST = 1024 * 1024
_MOST_KEPT = 256


class StoredConfigs:
    """Reads the config of a version once: a version never changes, and its number never comes back."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts
        self._known: dict[tuple[str, str], Any] = {}

    def of(self, ref: BaseModelRef) -> Any:
        """Give what the config holds; None where it cannot be read now, which is no reason to refuse anything."""
        place = (ref.id, ref.revision or "")
        if place not in self._known:
            config = self._read(ref)
            if config is None:
                return None
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[place] = config
        return self._known[place]

    def _read(self, ref: BaseModelRef) -> Any:
        with self._database.transaction(read_only=True) as session:
            version = models.get_version(session, ref.id.removeprefix("model:"), int(ref.revision or 0))
        if version is None or version.manifest.get("files", {}).get(_CONFIG, {}).get("bytes", _LARGEST) >= _LARGEST:
            return None
        try:
            return json.loads(b"".join(self._artifacts.read(f"{version.artifact_prefix}/{_CONFIG}")))
        except (AppError, ValueError):
            return None
