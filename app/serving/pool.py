"""The pool of versions: loaded before they are seen, swapped without a failed call, let go by bytes.

A name that moves (NAME, NAME@ALIAS) goes on being answered by the last version that was good here until the one it
means now is loaded; when that one is refused, for as long as it is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.artifacts.store import ArtifactStore
from app.errors import AppError, JobFailure, NotFound, Unavailable
from app.logging import get_logger
from app.schemas.predictions import Prefer
from app.serving.cache import Cache, Key
from app.serving.canaries import Caller, Canaries
from app.serving.loaded import LoadedVersion
from app.serving.loader import Loader, Source
from app.serving.memory import trim_memory
from app.serving.registry import Meaning, RegistryView
from app.serving.trials import Trials
from app.settings import MIB, Settings
from app.store.engine import Database
from app.telemetry import MODEL_CACHE_LOADS, MODEL_LOAD_SECONDS, MODEL_NAMES_BEHIND

log = get_logger(__name__)

REFUSED_SECONDS = 30.0
"""How long a version that cannot be loaded is refused without being tried again."""
AWAY_SECONDS = 1.0
"""The same where it is not the version that is at fault: its store or the database does not answer."""

T = TypeVar("T")


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
        self._limit = settings.serve_cache_mb * MIB
        self._pins = frozenset(settings.serve_pinned)
        self._longest_preload = settings.serve_preload_seconds
        self._cache = Cache(self._limit)
        self._loader = Loader(database, artifacts, settings.data_dir / "cache" / "models")
        self._holders: dict[str, Holder] = {}
        self._unpinned: dict[str, str] = {}
        """Why a pinned name has no version loaded, by name."""
        self._refused: dict[Key, tuple[Unavailable, float]] = {}
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}
        self._one_at_a_time = asyncio.Lock()  # so that each load's memory can be measured
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._preload_until = 0.0
        self._registry = RegistryView(database, settings.registry_refresh_seconds, self._tell_loop)
        self.shadows = Trials(self._at_hand, self._get_if_room, self.spawn)
        self.canaries = Canaries(
            self._registry, Trials(self._at_hand, self._get, self.spawn), self.shadows, self._is_loaded
        )

    def start(self) -> None:
        """Begin to load the versions that pinned aliases name, and to follow names that move."""
        self._loop = asyncio.get_running_loop()
        self._preload_until = time.monotonic() + self._longest_preload
        self.spawn(self._begin())

    async def close(self) -> None:
        """Stop following the registry and let every version go."""
        await asyncio.to_thread(self._registry.close)
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._cache.clear()

    @asynccontextmanager
    async def use(self, reference: str, prefer: Prefer | None = None) -> AsyncIterator[LoadedVersion]:
        """Hold the version that ``reference`` means for the time of one call, in the format that ``prefer`` asks for.

        Raises NotFound for a name, alias or number that does not exist, Unavailable ``damaged-bundle``,
        ``unloadable-model``, ``golden-mismatch`` or ``model-too-large`` when no version can answer.
        """
        async with self.hold(await self.meaning(reference), prefer) as version:
            yield version

    @asynccontextmanager
    async def hold(
        self, meaning: Meaning, prefer: Prefer | None = None, caller: Caller | None = None
    ) -> AsyncIterator[LoadedVersion]:
        """Hold the version that answers for the time of one call; where calls are split, that may be the canary.

        Without a ``caller`` it is what the alias names. Raises Unavailable as ``use`` does.
        """
        version = None
        if meaning.traffic is not None and caller is not None:
            version = self.canaries.choose(meaning, prefer, caller)
        if version is None:
            version = await self._answering(meaning, prefer)
        version.users += 1
        try:
            yield version
        finally:
            version.users -= 1
            if self._cache.is_over:
                self._cache.shrink()

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
        return Standing(len(self._cache), self._cache.bytes, self._limit, preloading, behind)

    def loaded(self) -> list[LoadedVersion]:
        """Give what is loaded, the longest unused first; may be asked from any thread."""
        return self._cache.versions()

    def _at_hand(self, model: str, number: int, prefer: Prefer | None) -> tuple[LoadedVersion | None, bool]:
        """Give a version if it is loaded, and whether it is so in the format that ``prefer`` asks for."""
        source = self._loader.known(model, number)
        if source is None:
            return None, False
        wanted, usual = ((model, number, source.formats[wish]) for wish in (prefer, None))
        version = self._cache.get(wanted)
        if version is not None:
            return version, True
        return self._cache.get(usual), wanted != usual and self._refusal(wanted) is not None

    async def meaning(self, reference: str) -> Meaning:
        """Tell what a reference means now. Raises NotFound."""
        try:
            return self._registry.resolve(reference)
        except NotFound:  # perhaps it is new
            await self._registry.refreshed()
            return self._registry.resolve(reference)

    async def _answering(self, meaning: Meaning, prefer: Prefer | None) -> LoadedVersion:
        if meaning.name is None:
            return await self._get(meaning.model, meaning.version, prefer)
        holder = self._holders.get(meaning.name)
        if holder is None:
            version = await self._get(meaning.model, meaning.version, prefer)  # no older one is known here
            self._hold(meaning.name, meaning, prefer)
            return version
        holder.prefers.add(prefer)
        if holder.version != meaning.version:
            self._move(meaning.name, meaning, holder)
            if holder.moving is not None and not self._is_loaded(holder.model, holder.version):
                await asyncio.shield(holder.moving)
        return await self._get(holder.model, holder.version, prefer)

    def _hold(self, name: str, meaning: Meaning, prefer: Prefer | None) -> None:
        holder = self._holders.setdefault(name, Holder(meaning.model, meaning.version))
        holder.prefers.add(prefer)
        self._unpinned.pop(name, None)

    def _move(self, name: str, meaning: Meaning, holder: Holder) -> None:
        """Begin to load what a name means now, unless that is going on or was refused a moment ago."""
        if holder.moving is None and not self._is_refused(meaning.model, meaning.version):
            holder.moving = self.spawn(self._move_now(name, meaning, holder))

    async def _move_now(self, name: str, meaning: Meaning, holder: Holder) -> None:
        try:
            for prefer in holder.prefers or {None}:
                await self._get(meaning.model, meaning.version, prefer)
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

    def _is_loaded(self, model: str, version: int) -> bool:
        source = self._loader.known(model, version)
        return source is not None and any((model, version, name) in self._cache for name in source.bytes)

    def _is_refused(self, model: str, version: int) -> bool:
        source = self._loader.known(model, version)
        return source is not None and self._refusal((model, version, source.formats[None])) is not None

    def _refusal(self, key: Key) -> Unavailable | None:
        error, until = self._refused.get(key, (None, 0.0))
        if error is None or time.monotonic() < until:
            return error
        del self._refused[key]
        return None

    # Loading

    async def _get(self, model: str, number: int, prefer: Prefer | None) -> LoadedVersion:
        source = await self._source(model, number)
        wanted, usual = source.formats[prefer], source.formats[None]
        try:
            return await self._format(source, (model, number, wanted))
        except Unavailable:
            if wanted == usual:
                raise
            return await self._format(source, (model, number, usual))  # a preference is no demand

    async def _get_if_room(self, model: str, number: int, prefer: Prefer | None) -> LoadedVersion:
        """Load a version that answers nobody, if none that may answer has to go for it."""
        source = await self._source(model, number)
        if self._cache.bytes + source.bytes.get(source.formats[prefer], 0) > self._limit:
            raise Unavailable(
                f"TUNESMITH_SERVE_CACHE_MB leaves no room for {model}:{number}, which is only compared.",
                "no-room",
                "Raise it, or end the shadow.",
            )
        return await self._get(model, number, prefer)

    async def _source(self, model: str, number: int) -> Source:
        source = self._loader.known(model, number)
        if source is None:
            source = await self._once((model, number), lambda: asyncio.to_thread(self._loader.look_up, model, number))
        return source

    async def _format(self, source: Source, key: Key) -> LoadedVersion:
        if (version := self._cache.get(key)) is not None:
            return version
        if (error := self._refusal(key)) is not None:
            raise Unavailable(error.detail, error.code, error.remedy)
        return await self._once(key, lambda: self._load(source, key))

    async def _once(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Do something once for all who want it at a time; a caller that leaves does not end it for the others."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(_awaited(work))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        done: T = await asyncio.shield(task)  # a key means one kind of work
        return done

    async def _load(self, source: Source, key: Key) -> LoadedVersion:
        started = time.monotonic()
        try:
            version = await self._load_now(source, key)
        except Exception as error:
            raise self._refuse(key, error) from error
        MODEL_CACHE_LOADS.labels(outcome="ok").inc()
        MODEL_LOAD_SECONDS.observe(time.monotonic() - started)
        log.info("Version loaded", model=key[0], version=key[1], format=key[2], bytes=version.bytes)
        return version

    async def _load_now(self, source: Source, key: Key) -> LoadedVersion:
        bundle = await asyncio.to_thread(self._loader.fetch, source, key[2])
        async with self._one_at_a_time:
            if self._cache.make_room(key, source.bytes.get(key[2], 0)):
                await asyncio.to_thread(trim_memory)
            version = await asyncio.to_thread(self._loader.load, source, bundle)
            self._cache.add(key, version)
        return version

    def _refuse(self, key: Key, error: Exception) -> Unavailable:
        """Remember and tell why a version cannot be loaded."""
        if not isinstance(error, AppError):
            log.exception("A version failed while it was loaded", model=key[0], version=key[1], format=key[2])
            error = JobFailure(
                f"{key[0]}:{key[1]} cannot be served: its model fails ({type(error).__name__}).",
                "unloadable-model",
                "Train the version again.",
            )
        problem = error if isinstance(error, Unavailable) else Unavailable(error.detail, error.code, error.remedy)
        at_fault = isinstance(error, JobFailure) or error.code == "model-too-large"
        self._refused[key] = (problem, time.monotonic() + (REFUSED_SECONDS if at_fault else AWAY_SECONDS))
        MODEL_CACHE_LOADS.labels(outcome=error.code).inc()
        log.error("A version cannot be loaded", model=key[0], version=key[1], format=key[2], code=error.code)
        return problem

    # Following the registry

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
            elif self._is_loaded(holder.model, holder.version):  # else the next call loads the new one, if any comes
                self._move(name, meaning, holder)
        names = {meaning.name for meaning in pinned}
        self._unpinned = {name: reason for name, reason in self._unpinned.items() if name in names}
        pins = {(holder.model, holder.version) for name, holder in self._holders.items() if name in names}
        self._cache.pinned = pins | self.canaries.follow(self._holders, names)
        new = [meaning for meaning in pinned if meaning.name not in self._holders]
        if new and time.monotonic() >= self._preload_until and "preload" not in self._under_way:
            self.spawn(self._once("preload", lambda: self._preload(new)))

    async def _preload(self, pinned: Iterable[Meaning]) -> None:
        """Load what pinned aliases name, as far as there is room."""
        for meaning in pinned:
            name = meaning.name or ""
            try:
                if name not in self._holders and await self._has_room(meaning):
                    await self._get(meaning.model, meaning.version, None)
                    self._hold(name, meaning, None)
                    self._cache.pinned = {*self._cache.pinned, (meaning.model, meaning.version)}
            except AppError as error:
                self._unpinned[name] = error.code

    async def _has_room(self, meaning: Meaning) -> bool:
        source = await self._source(meaning.model, meaning.version)
        if self._cache.bytes + source.bytes.get(source.formats[None], 0) <= self._limit:
            return True
        if meaning.name not in self._unpinned:
            log.warning("There is no room for a pinned version", model=meaning.model, version=meaning.version)
        self._unpinned[meaning.name or ""] = "TUNESMITH_SERVE_CACHE_MB leaves no room for it"
        return False


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
