"""The pool of loaded versions: fetched, checked and warmed before they are seen, the longest unused ones let go."""

import asyncio
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from app.artifacts.bundle import TOKENIZER, Bundle, Manifest
from app.artifacts.store import ArtifactStore, fetch_bundle
from app.errors import JobFailure, NotFound, Unavailable
from app.logging import get_logger
from app.serving.batcher import Gauge
from app.serving.memory import resident_bytes, trim_memory
from app.serving.predictor import Predictor
from app.serving.registry import RegistryView
from app.settings import MIB, Settings
from app.store import models, tables
from app.store.engine import Database
from app.telemetry import MODEL_CACHE_BYTES, MODEL_CACHE_EVICTIONS, MODEL_CACHE_LOADS, MODEL_LOAD_SECONDS

log = get_logger(__name__)

Key = tuple[str, int]
WARM_UP_LENGTHS = (8, 32, 64)
"""Tokens of the texts that warm a version up and measure it."""


@dataclass(slots=True)
class LoadedVersion:
    """One version in memory."""

    model: str
    version: int
    predictor: Predictor
    bytes: int
    gauge: Gauge = field(default_factory=Gauge)
    users: int = 0
    """Calls in flight; a version in use is never let go."""


class Pool:
    """The versions this process can answer with; used from one event loop, loads in threads."""

    def __init__(self, database: Database, artifacts: ArtifactStore, settings: Settings) -> None:
        self._database = database
        self._artifacts = artifacts
        self._cache_dir = settings.data_dir / "cache" / "models"
        self._limit = settings.serve_cache_mb * MIB
        self._registry = RegistryView(database, settings.registry_refresh_seconds)
        self._loaded: OrderedDict[Key, LoadedVersion] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[LoadedVersion]] = {}
        self._one_at_a_time = threading.Lock()  # so that each load's memory can be measured

    def close(self) -> None:
        """Stop following the registry and let every version go."""
        self._registry.close()
        self._loaded.clear()
        MODEL_CACHE_BYTES.set(0)

    @asynccontextmanager
    async def use(self, reference: str) -> AsyncIterator[LoadedVersion]:
        """Hold the version that ``reference`` means for the time of one call.

        Raises NotFound for a name, alias or number that does not exist, Unavailable ``damaged-bundle`` or
        ``model-too-large`` when the version cannot be loaded.
        """
        version = await self._get(await self._resolve(reference))
        version.users += 1
        try:
            yield version
        finally:
            version.users -= 1

    async def _resolve(self, reference: str) -> Key:
        try:
            return self._registry.resolve(reference)
        except NotFound:  # perhaps it is new
            await asyncio.to_thread(self._registry.refresh)
            return self._registry.resolve(reference)

    async def _get(self, key: Key) -> LoadedVersion:
        if (version := self._loaded.get(key)) is not None:
            self._loaded.move_to_end(key)
            return version
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        # A caller that leaves must not end the load that others wait for.
        return await asyncio.shield(task)

    async def _load(self, key: Key) -> LoadedVersion:
        started = time.monotonic()
        try:
            version = await asyncio.to_thread(self._load_now, key)
        except JobFailure as error:
            MODEL_CACHE_LOADS.labels(outcome=error.code).inc()
            log.error("A version cannot be loaded", model=key[0], version=key[1], code=error.code)
            raise Unavailable(error.detail, error.code, error.remedy) from error
        self._admit(key, version)
        MODEL_CACHE_LOADS.labels(outcome="ok").inc()
        MODEL_LOAD_SECONDS.observe(time.monotonic() - started)
        log.info("Version loaded", model=key[0], version=key[1], bytes=version.bytes)
        return version

    def _load_now(self, key: Key) -> LoadedVersion:
        """Fetch, check, load and warm up; blocks."""
        with self._database.transaction(read_only=True) as session:
            row = models.get_version(session, *key)
        if row is None:
            raise NotFound(
                f"{key[0]} has no version {key[1]}.", "version-not-found", "GET /models lists what there is."
            )
        with self._one_at_a_time:
            bundle = self._fetch(row, self._cache_dir / row.id)
            before = resident_bytes()
            predictor = Predictor.load(bundle)
            version = LoadedVersion(*key, predictor, bytes=0)
            warm_up(version)
            predictor.rest()
            trim_memory()
            version.bytes = max(resident_bytes() - before, bundle.manifest.files[bundle.manifest.served_file].bytes)
        return version

    def _fetch(self, row: tables.ModelVersion, folder: Path) -> Bundle:
        only = (Manifest.model_validate(row.manifest).served_file, TOKENIZER)
        fetch = partial(
            fetch_bundle, self._artifacts, row.artifact_prefix, folder, only=only, manifest_sha256=row.manifest_sha256
        )
        try:
            return fetch()
        except JobFailure:
            if not folder.exists():
                raise
            shutil.rmtree(folder)  # this machine's copy may be what is damaged
            return fetch()

    def _admit(self, key: Key, version: LoadedVersion) -> None:
        """Make room and let the version be seen."""
        if version.bytes > self._limit:
            raise Unavailable(
                f"{key[0]}:{key[1]} takes {version.bytes // MIB} MB, more than the whole cache of loaded versions.",
                "model-too-large",
                "Raise TUNESMITH_SERVE_CACHE_MB.",
            )
        idle = [other for other, held in self._loaded.items() if held.users == 0]
        while idle and self._total() + version.bytes > self._limit:
            gone = idle.pop(0)
            del self._loaded[gone]
            MODEL_CACHE_EVICTIONS.inc()
            log.info("Version unloaded", model=gone[0], version=gone[1])
        self._loaded[key] = version
        MODEL_CACHE_BYTES.set(self._total())

    def _total(self) -> int:
        return sum(version.bytes for version in self._loaded.values())


def warm_up(version: LoadedVersion) -> None:
    """Run the version once at a few lengths, so that the first caller pays nothing, and note its speed."""
    longest = version.predictor.encoder.settings.max_length
    for length in WARM_UP_LENGTHS:
        ids = np.full(min(length, longest), version.predictor.encoder.settings.pad_token_id, dtype=np.int64)
        version.predictor.logits([ids])
        started = time.perf_counter()
        version.predictor.logits([ids, ids])
        version.gauge.tokens_per_second = 2 * len(ids) / (time.perf_counter() - started)
