"""What one process has loaded: each version once, whoever asks; those that cannot be are remembered for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from app.errors import AppError, JobFailure, Unavailable
from app.logging import get_logger
from app.schemas.predictions import Prefer
from app.serving.cache import Cache, Key
from app.serving.loaded import LoadedVersion
from app.serving.loader import Loader, Source
from app.serving.memory import trim_memory
from app.telemetry import MODEL_CACHE_LOADS, MODEL_LOAD_SECONDS

log = get_logger(__name__)

REFUSED_SECONDS = 30.0
"""How long a version that cannot be loaded is refused without being tried again."""
AWAY_SECONDS = 1.0
"""The same where it is not the version that is at fault: its store or the database does not answer."""

T = TypeVar("T")


class Stock:
    """Loaded versions within a limit of bytes; used from one event loop, loads in threads."""

    def __init__(self, loader: Loader, limit: int) -> None:
        self.cache = Cache(limit)
        self._loader = loader
        self._refused: dict[Key, tuple[Unavailable, float]] = {}
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}
        self._one_at_a_time = asyncio.Lock()  # so that each load's memory can be measured

    def at_hand(self, model: str, number: int, prefer: Prefer | None) -> tuple[LoadedVersion | None, bool]:
        """Give a version if it is loaded, and whether it is so in the format that ``prefer`` asks for."""
        source = self._loader.known(model, number)
        if source is None:
            return None, False
        wanted, usual = ((model, number, source.formats[wish]) for wish in (prefer, None))
        version = self.cache.get(wanted)
        if version is not None:
            return version, True
        return self.cache.get(usual), wanted != usual and self._refusal(wanted) is not None

    def is_loaded(self, model: str, version: int) -> bool:
        """Say whether a version can answer at once, in whatever format."""
        source = self._loader.known(model, version)
        return source is not None and any((model, version, name) in self.cache for name in source.bytes)

    def is_refused(self, model: str, version: int) -> bool:
        """Say whether a version could not be loaded a moment ago."""
        source = self._loader.known(model, version)
        return source is not None and self._refusal((model, version, source.formats[None])) is not None

    def _refusal(self, key: Key) -> Unavailable | None:
        error, until = self._refused.get(key, (None, 0.0))
        if error is None or time.monotonic() < until:
            return error
        del self._refused[key]
        return None

    # Loading

    async def get(self, model: str, number: int, prefer: Prefer | None) -> LoadedVersion:
        """Give a version, loaded if need be, in the format that ``prefer`` asks for where that can be loaded.

        Raises NotFound, or Unavailable with what makes it impossible.
        """
        source = await self._source(model, number)
        wanted, usual = source.formats[prefer], source.formats[None]
        try:
            return await self._format(source, (model, number, wanted))
        except Unavailable:
            if wanted == usual:
                raise
            return await self._format(source, (model, number, usual))  # a preference is no demand

    async def get_if_room(self, model: str, number: int, prefer: Prefer | None) -> LoadedVersion:
        """Load a version that answers nobody, if none that may answer has to go for it."""
        source = await self._source(model, number)
        if self.cache.bytes + source.bytes.get(source.formats[prefer], 0) > self.cache.limit:
            raise Unavailable(
                f"TUNESMITH_SERVE_CACHE_MB leaves no room for {model}:{number}, which is only compared.",
                "no-room",
                "Raise it, or end the shadow.",
            )
        return await self.get(model, number, prefer)

    async def _source(self, model: str, number: int) -> Source:
        source = self._loader.known(model, number)
        if source is None:
            source = await self._once((model, number), lambda: asyncio.to_thread(self._loader.look_up, model, number))
        return source

    async def _format(self, source: Source, key: Key) -> LoadedVersion:
        if (version := self.cache.get(key)) is not None:
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
            if self.cache.make_room(key, source.bytes.get(key[2], 0)):
                await asyncio.to_thread(trim_memory)
            version = await asyncio.to_thread(self._loader.load, source, bundle)
            self.cache.add(key, version)
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

    async def has_room(self, model: str, number: int) -> bool:
        """Say whether a version fits in beside all that is loaded."""
        source = await self._source(model, number)
        return self.cache.bytes + source.bytes.get(source.formats[None], 0) <= self.cache.limit


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
