"""What the names of models mean at this moment: a copy of the registry, so that predicting asks no SQL."""

import re
import threading

from app.errors import AppError, NotFound, nearest
from app.logging import get_logger
from app.store import models
from app.store.engine import Database

log = get_logger(__name__)

CHAMPION = "champion"
_REFERENCE = re.compile(r"^(?P<name>[^@:]+)(@(?P<alias>.+)|:(?P<version>\d+))?$")


class RegistryView:
    """A copy of names, newest versions and aliases, renewed by a thread every ``seconds``."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._entries: dict[str, models.Entry] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="registry-view", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def refresh(self) -> None:
        """Read the registry now. Raises Unavailable."""
        with self._database.transaction(read_only=True) as session:
            self._entries = models.registry_snapshot(session)

    def resolve(self, reference: str) -> tuple[str, int]:
        """Give the model and version that NAME, NAME@ALIAS or NAME:VERSION means. Raises NotFound.

        A plain name means the alias ``champion`` if it is set, else the newest version.
        """
        match = _REFERENCE.match(reference)
        entry = self._entries.get(match["name"]) if match else None
        if match is None or entry is None:
            raise self._unknown_model(reference)
        if match["version"] is not None:
            number = int(match["version"])
            if not 1 <= number <= entry["newest"]:
                raise NotFound(
                    f"{match['name']} has no version {number}.",
                    "version-not-found",
                    f"Its versions are 1 to {entry['newest']}.",
                )
            return match["name"], number
        if match["alias"] is not None:
            if match["alias"] not in entry["aliases"]:
                raise self._unknown_alias(match["name"], match["alias"], entry)
            return match["name"], entry["aliases"][match["alias"]]
        return match["name"], entry["aliases"].get(CHAMPION, entry["newest"])

    def _unknown_model(self, reference: str) -> NotFound:
        meant = nearest(reference.partition("@")[0].partition(":")[0], self._entries)
        remedy = f"Did you mean {meant!r}?" if meant else "GET /models lists the models; POST /jobs trains one."
        return NotFound("There is no model of that name with a version to serve.", "model-not-found", remedy)

    def _unknown_alias(self, name: str, alias: str, entry: models.Entry) -> NotFound:
        known = ", ".join(sorted(entry["aliases"])) or "none yet"
        meant = nearest(alias, entry["aliases"])
        return NotFound(
            f"{name} has no such alias.",
            "alias-not-found",
            f"Did you mean {meant!r}?"
            if meant
            else f"Its aliases: {known}. PUT /models/{name}/aliases/ALIAS sets one.",
        )

    def _keep_fresh(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.refresh()
            except AppError as error:  # what was known goes on being served
                log.warning("The registry could not be read", code=error.code)
