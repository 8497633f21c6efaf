"""The pool of versions: loaded before they are seen, swapped without a failed call, let go by bytes.

A name that moves (NAME, NAME@ALIAS) goes on being answered by the last version that was good here until the one it
means now is loaded; when that one is refused, for as long as it is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from app.artifacts.store import ArtifactStore
from app.errors import AppError, NotFound
from app.logging import get_logger
from app.schemas.predictions import Prefer
from app.serving.canaries import Caller, Canaries
from app.serving.loaded import LoadedVersion
from app.serving.loader import Loader
from app.serving.registry import Meaning, RegistryView
from app.serving.stock import Stock
from app.serving.trials import Trials
from app.settings import MIB, Settings
from app.store.engine import Database
from app.telemetry import MODEL_NAMES_BEHIND

log = get_logger(__name__)


@dataclass(slots=True)
class Holder:
    """Which version answers for a name that moves."""

    model: str
    version: int
    """The last one that was loaded for it."""
    prefers: set[Prefer | None] = field(default_factory=set)
    """What its callers have asked for: loaded before a new version takes over."""
    moving: "asyncio.Task[None] | None" = None
    refused: tuple[int, str] | None = None
    """The version that the name means but that cannot answer, and the code of the reason."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the pool is, for those who watch over the service."""

    versions: int
    bytes: int
    limit: int
    is_preloading: bool
    behind: list[str]
    """In words: each name that another version answers for than the one it means, and pins that are not loaded."""


class Pool:
    """The versions this process can answer with; used from one event loop, loads in threads."""

    def __init__(self, database: Database, artifacts: ArtifactStore, settings: Settings) -> None:
        self._pins = frozenset(settings.serve_pinned)
        self._longest_preload = settings.serve_preload_seconds
        folder = settings.data_dir / "cache" / "models"
        loader = Loader(database, artifacts, folder, lone_shares=settings.serve_shares)
        self._stock = Stock(loader, settings.serve_cache_mb * MIB)
        self._holders: dict[str, Holder] = {}
        self._unpinned: dict[str, str] = {}
        """Why a pinned name has no version loaded, by name."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._preload_until = 0.0
        self._preloading: asyncio.Task[None] | None = None
        self._registry = RegistryView(database, settings.registry_refresh_seconds, self._tell_loop)
        self.shadows = Trials(self._stock.at_hand, self._stock.get_if_room, self.spawn)
        self.canaries = Canaries(
            self._registry,
            Trials(self._stock.at_hand, self._stock.get, self.spawn),
            self.shadows,
            self._stock.is_loaded,
        )

    def start(self) -> None:
        """Begin to load the versions that pinned aliases name, and to follow names that move."""
        self._loop = asyncio.get_running_loop()
        self._preload_until = time.monotonic() + self._longest_preload
        self.spawn(self._begin())

    def hurry(self) -> None:
        """Look at the registry at once, as it has changed; may be called from any thread."""
        self._registry.hurry()

    async def close(self) -> None:
        """Stop following the registry and let every version go."""
        await asyncio.to_thread(self._registry.close)
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stock.cache.clear()

    @asynccontextmanager
    async def use(self, reference: str, prefer: Prefer | None = None) -> AsyncIterator[LoadedVersion]:
        """Hold the version that ``reference`` means for the time of one call, in the format that ``prefer`` asks for.

        Raises NotFound for a name, alias or number that does not exist, Unavailable ``damaged-bundle``,
        ``unloadable-model``, ``golden-mismatch`` or ``model-too-large`` when no version can answer.
        """
        version = await self.take(await self.meaning(reference), prefer)
        try:
            yield version
        finally:
            self.give_back(version)

    async def take(self, meaning: Meaning, prefer: Prefer | None = None, caller: Caller | None = None) -> LoadedVersion:
        """Give the version that answers, to be given back after the call; where calls are split, maybe the canary.

        Without a ``caller`` it is what the alias names. Raises Unavailable as ``use`` does.
        """
        version, prefer = None, prefer or meaning.prefer
        if meaning.traffic is not None and caller is not None:
            version = self.canaries.choose(meaning, prefer, caller)
        if version is None:
            version = await self._answering(meaning, prefer)
        version.users += 1
        return version

    def give_back(self, version: LoadedVersion) -> None:
        """End the use of a version that was taken."""
        version.users -= 1
        if self._stock.cache.is_over:
            self._stock.cache.shrink()

    def standing(self) -> Standing:
        """Tell how the pool is; may be asked from any thread."""
        behind = [
            f"{name} means version {holder.refused[0]}, which is refused ({holder.refused[1]}); "
            f"version {holder.version} answers"
            for name, holder in list(self._holders.items())
            if holder.refused is not None
        ]
        behind += [f"{name} is pinned and not loaded ({reason})" for name, reason in list(self._unpinned.items())]
        behind += self.canaries.behind()
        preloading = time.monotonic() < self._preload_until
        cache = self._stock.cache
        return Standing(len(cache), cache.bytes, cache.limit, preloading, behind)

    def loaded(self) -> list[LoadedVersion]:
        """Give what is loaded, the longest unused first; may be asked from any thread."""
        return self._stock.cache.versions()

    async def meaning(self, reference: str) -> Meaning:
        """Tell what a reference means now. Raises NotFound."""
        try:
            return self._registry.resolve(reference)
        except NotFound:  # perhaps it is new
            await self._registry.refreshed()
            return self._registry.resolve(reference)

    async def _answering(self, meaning: Meaning, prefer: Prefer | None) -> LoadedVersion:
        if meaning.name is None:
            return await self._stock.get(meaning.model, meaning.version, prefer)
        holder = self._holders.get(meaning.name)
        if holder is None:
            version = await self._stock.get(meaning.model, meaning.version, prefer)  # no older one is known here
            self._hold(meaning.name, meaning, prefer)
            return version
        holder.prefers.add(prefer)
        if holder.version != meaning.version:
            self._move(meaning.name, meaning, holder)
            if holder.moving is not None and not self._stock.is_loaded(holder.model, holder.version):
                await asyncio.shield(holder.moving)
        return await self._stock.get(holder.model, holder.version, prefer)

    def _hold(self, name: str, meaning: Meaning, prefer: Prefer | None) -> None:
        holder = self._holders.setdefault(name, Holder(meaning.model, meaning.version))
        holder.prefers.add(prefer)
        self._unpinned.pop(name, None)

    def _move(self, name: str, meaning: Meaning, holder: Holder) -> None:
        """Begin to load what a name means now, unless that is going on or was refused a moment ago."""
        if holder.moving is None and not self._stock.is_refused(meaning.model, meaning.version):
            holder.moving = self.spawn(self._move_now(name, meaning, holder))

    async def _move_now(self, name: str, meaning: Meaning, holder: Holder) -> None:
        try:
            for prefer in holder.prefers or {None}:
                await self._stock.get(meaning.model, meaning.version, prefer)
        except AppError as error:
            self._say_refused(name, holder, meaning.version, error.code)
        else:
            log.info("A name moved", name=name, version=meaning.version, before=holder.version)
            holder.version = meaning.version
            self._say_refused(name, holder, None)
        finally:
            holder.moving = None

    def _say_refused(self, name: str, holder: Holder, version: int | None, code: str = "") -> None:
        refused = None if version is None else (version, code)
        if refused == holder.refused:
            return
        holder.refused = refused
        if refused is None:
            MODEL_NAMES_BEHIND.remove(name)
            return
        MODEL_NAMES_BEHIND.labels(name=name).set(1)
        log.error(
            "A name means a version that is refused; the one before goes on answering",
            name=name,
            refused=version,
            code=code,
            answering=holder.version,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let something go on beside the calls; it is cancelled at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell_loop(self) -> None:
        """Have the event loop look at what was read; called by the thread that reads."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it closed just now
                loop.call_soon_threadsafe(self._follow)

    async def _begin(self) -> None:
        try:
            await self._registry.refreshed()
        except AppError as error:
            log.warning("The registry could not be read", code=error.code)
        await self._preload(self._registry.named(self._pins))
        self._preload_until = 0.0

    def _follow(self) -> None:
        """Move what has moved: names that are in use here, and pinned ones."""
        pinned = list(self._registry.named(self._pins))
        for name, holder in list(self._holders.items()):
            try:
                meaning = self._registry.resolve(name)
            except NotFound:
                self._say_refused(name, holder, None)
                del self._holders[name]
                continue
            if meaning.version == holder.version:
                self._say_refused(name, holder, None)
            elif self._stock.is_loaded(holder.model, holder.version):  # else the next call, if any, loads the new one
                self._move(name, meaning, holder)
        names = {meaning.name for meaning in pinned}
        self._unpinned = {name: reason for name, reason in self._unpinned.items() if name in names}
        pins = {(holder.model, holder.version) for name, holder in self._holders.items() if name in names}
        self._stock.cache.pinned = pins | self.canaries.follow(self._holders, names)
        new = [meaning for meaning in pinned if meaning.name not in self._holders]
        if new and time.monotonic() >= self._preload_until and (self._preloading is None or self._preloading.done()):
            self._preloading = self.spawn(self._preload(new))

    async def _preload(self, pinned: Iterable[Meaning]) -> None:
        """Load what pinned aliases name, as far as there is room."""
        for meaning in pinned:
            name = meaning.name or ""
            if name in self._holders:
                continue
            try:
                if await self._stock.has_room(meaning.model, meaning.version):
                    await self._stock.get(meaning.model, meaning.version, meaning.prefer)
                    self._hold(name, meaning, meaning.prefer)
                    self._stock.cache.pinned = {*self._stock.cache.pinned, (meaning.model, meaning.version)}
                else:
                    self._say_no_room(name, meaning)
            except AppError as error:
                self._unpinned[name] = error.code

    def _say_no_room(self, name: str, meaning: Meaning) -> None:
        if name not in self._unpinned:
            log.warning("There is no room for a pinned version", model=meaning.model, version=meaning.version)
        self._unpinned[name] = "TUNESMITH_SERVE_CACHE_MB leaves no room for it"
