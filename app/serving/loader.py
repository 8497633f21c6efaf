"""Loading one version: fetched from the artifact store, every byte checked, warmed up, its memory measured."""

import shutil
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.artifacts.bundle import GOLDEN, SERVED_FILES, TOKENIZER, Bundle
from app.artifacts.store import ArtifactStore, fetch_bundle
from app.artifacts.stored import stored_manifest
from app.errors import JobFailure, NotFound
from app.processors import Share
from app.schemas.jobs import ServedFormat
from app.schemas.predictions import Prefer
from app.serving import golden
from app.serving.loaded import LoadedVersion, warm_up
from app.serving.memory import resident_bytes, trim_memory
from app.serving.predictor import Predictor
from app.serving.variants import choose
from app.store import models
from app.store.engine import Database

PREFERENCES: tuple[Prefer | None, ...] = (None, "speed", "accuracy")
MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from, and what it can be loaded as; it never changes."""

    model: str
    version: int
    id: str
    prefix: str
    manifest_sha256: str
    formats: dict[Prefer | None, ServedFormat]
    bytes: dict[ServedFormat, int]
    golden: tuple[str, ...]
    """The file of golden examples, where there is one."""


class Loader:
    """Brings versions into memory; its methods block."""

    def __init__(
        self, database: Database, artifacts: ArtifactStore, cache_dir: Path, *, lone_shares: Sequence[Share] = ()
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._cache_dir = cache_dir
        self._lone_shares = lone_shares
        self._known: OrderedDict[tuple[str, int], Source] = OrderedDict()

    def known(self, model: str, version: int) -> Source | None:
        """Give the source of a version that was looked up before."""
        return self._known.get((model, version))

    def look_up(self, model: str, version: int) -> Source:
        """Ask the registry for a version. Raises NotFound ``version-not-found``, Unavailable."""
        with self._database.transaction(read_only=True) as session:
            row = models.get_version(session, model, version)
        if row is None:
            raise NotFound(
                f"{model} has no version {version}.", "version-not-found", "GET /models lists what there is."
            )
        manifest = stored_manifest(row)
        source = Source(
            model,
            version,
            row.id,
            row.artifact_prefix,
            row.manifest_sha256,
            formats={prefer: choose(manifest, prefer) for prefer in PREFERENCES},
            bytes={name: manifest.files[file].bytes for name, file in SERVED_FILES.items() if file in manifest.files},
            golden=(GOLDEN,) if GOLDEN in manifest.files else (),
        )
        self._known[model, version] = source
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return source

    def fetch(self, source: Source, served: ServedFormat) -> Bundle:
        """Bring what one format needs to this machine and check every byte.

        Raises JobFailure ``damaged-bundle``, Unavailable.
        """
        folder = self._cache_dir / f"{source.id}-{served}"
        fetch = partial(
            fetch_bundle,
            self._artifacts,
            source.prefix,
            folder,
            only=(SERVED_FILES[served], TOKENIZER, *source.golden),
            manifest_sha256=source.manifest_sha256,
        )
        try:
            bundle = fetch()
        except JobFailure:
            if not folder.exists():
                raise
            shutil.rmtree(folder)  # this machine's copy may be what is damaged
            bundle = fetch()
        return Bundle(bundle.folder, bundle.manifest.model_copy(update={"serve": served}))

    def load(self, source: Source, bundle: Bundle) -> LoadedVersion:
        """Load what was fetched, try its golden examples and warm it up; one at a time, as its memory is measured.

        Raises JobFailure ``unloadable-model`` or ``golden-mismatch``.
        """
        trim_memory()  # what was freed before would be taken again without being seen
        before = resident_bytes()
        predictor = Predictor.load(bundle, lone_shares=self._lone_shares)
        if source.golden:
            golden.replay(golden.read(bundle.path(GOLDEN), source.model), predictor)
        predictor.rest()
        trim_memory()
        size = bundle.manifest.files[bundle.manifest.served_file].bytes
        taken = max(resident_bytes() - before, size)
        version = LoadedVersion(source.model, source.version, predictor, bytes=taken)
        warm_up(version)  # only now: what its batches take is given back, but not always all of it
        predictor.rest()
        trim_memory()
        return version
