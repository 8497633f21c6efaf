"""What the names of models mean at this moment: a copy of the registry, so that predicting asks no SQL."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from app.errors import AppError, NotFound, nearest
from app.logging import get_logger
from app.schemas.traffic import Prefer, Traffic
from app.store import models
from app.store.engine import Database

log = get_logger(__name__)

CHAMPION = "champion"
MISS_SECONDS = 0.1
"""Pause between two reads that unknown names or changes ask for, however many they are."""
_REFERENCE = re.compile(r"^(?P<name>[^@:]+)(@(?P<alias>.+)|:(?P<version>\d+))?$")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reference means now."""

    model: str
    version: int
    name: str | None
    """The reference, where it is one that may mean another version later; None for NAME:VERSION."""
    alias: str = ""
    """The alias, where its calls are split."""
    traffic: Traffic | None = None
    """How its calls are split; None: they are not."""

    @property
    def prefer(self) -> Prefer | None:
        """Tell what its alias prefers for calls that do not say."""
        return None if self.traffic is None else self.traffic.prefer


class RegistryView:
    """A copy of names, newest versions and aliases, renewed by a thread every ``seconds``, or sooner when told to.

    ``renewed`` is called after each of these reads, in that thread.
    """

    def __init__(self, database: Database, seconds: float, renewed: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._seconds = seconds
        self._renewed = renewed
        self._entries: dict[str, models.Entry] = {}
        self._reading = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._read_at = float("-inf")
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="registry-view", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def hurry(self) -> None:
        """Have the thread read now, as something has changed; may be called from any thread."""
        self._wake.set()

    def refresh(self) -> None:
        """Read the registry now. Raises Unavailable."""
        with self._database.transaction(read_only=True) as session:
            self._entries = models.registry_snapshot(session)

    async def refreshed(self) -> None:
        """Wait for a read that began after this call; all who wait at a time share one. Raises Unavailable."""
        if self._next is None:
            self._next = asyncio.create_task(self._read_again())
        await asyncio.shield(self._next)

    async def _read_again(self) -> None:
        async with self._reading:
            await asyncio.sleep(max(0.0, self._read_at + MISS_SECONDS - time.monotonic()))
            self._next = None  # whoever comes from here on may want to know of something newer
            self._read_at = time.monotonic()
            await asyncio.to_thread(self.refresh)

    def named(self, aliases: Collection[str]) -> Iterator[Meaning]:
        """Give what these aliases mean, model by model; a model without one of them has none to give."""
        for name, entry in sorted(self._entries.items()):
            for alias, version in entry["aliases"].items():
                if alias in aliases:
                    yield Meaning(name, version, _name_of(name, alias), alias, entry["traffic"].get(alias))

    def splits(self) -> Iterator[Meaning]:
        """Give what those aliases mean whose calls are split."""
        for name, entry in sorted(self._entries.items()):
            for alias, split in entry["traffic"].items():
                if alias in entry["aliases"]:
                    yield Meaning(name, entry["aliases"][alias], _name_of(name, alias), alias, split)

    def resolve(self, reference: str) -> Meaning:
        """Give the model and version that NAME, NAME@ALIAS or NAME:VERSION means. Raises NotFound.

        A plain name means the alias ``champion`` if it is set, else the newest version.
        """
        match = _REFERENCE.match(reference)
        entry = self._entries.get(match["name"]) if match else None
        if match is None or entry is None:
            raise self._unknown_model(reference)
        name = match["name"]
        if match["version"] is not None:
            number = int(match["version"])
            if not 1 <= number <= entry["newest"] or number in entry["deleted"]:
                deleted = ", some of them deleted" if entry["deleted"] else ""
                raise NotFound(
                    f"{name} has no version {number}.",
                    "version-not-found",
                    f"Its versions are 1 to {entry['newest']}{deleted}.",
                )
            return Meaning(name, number, None)
        if match["alias"] is None:
            # A split without its alias is what was read between two changes: the alias has just been removed.
            split = entry["traffic"].get(CHAMPION)
            return Meaning(name, entry["aliases"].get(CHAMPION, entry["newest"]), name, CHAMPION, split)
        if match["alias"] not in entry["aliases"]:
            raise self._unknown_alias(name, match["alias"], entry)
        alias = match["alias"]
        split = entry["traffic"].get(alias)
        return Meaning(name, entry["aliases"][alias], name if alias == CHAMPION else reference, alias, split)

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
        pause = min(MISS_SECONDS, self._seconds)  # however many say that something has changed
        while not self._stop.wait(pause):
            self._wake.wait(self._seconds - pause)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.refresh()
            except AppError as error:  # what was known goes on being served
                log.warning("The registry could not be read", code=error.code)
            except Exception:  # the thread must outlive any fault: nobody would start it again
                log.exception("The registry could not be read")
            self._renewed()


def _name_of(model: str, alias: str) -> str:
    """Name what an alias is called by; a plain name means its champion: one and the same."""
    return model if alias == CHAMPION else f"{model}@{alias}"
