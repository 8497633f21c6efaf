"""The seam of the artifact store: seven methods, chosen by a URL, and bundles moved through them."""

import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from app.artifacts.bundle import MANIFEST, Bundle, damaged
from app.artifacts.file import FileStore
from app.artifacts.s3_access import S3Access, access_of, place_of
from app.errors import NotFound, Unprocessable
from app.settings import Settings


class ArtifactStore(Protocol):
    """Immutable files by key. A key is a relative POSIX path that the service makes."""

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of a file, durably and all at once; the same content again is fine."""

    def fetch(self, key: str, destination: Path) -> None:
        """Copy an artifact to a place on this machine; NotFound ``artifact-missing`` when there is none."""

    def read(self, key: str) -> Iterator[bytes]:
        """Give an artifact's content in blocks; NotFound ``artifact-missing`` when there is none."""

    def size(self, key: str) -> int | None:
        """Give an artifact's size in bytes, None when there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """Give the keys below a folder; an empty prefix means all."""

    def delete(self, key: str) -> None:
        """Remove an artifact; removing nothing is fine."""

    def remove(self, prefix: str) -> None:
        """Remove everything below a folder, what a killed process left half-written too; removing nothing is fine."""


def store_of(settings: Settings) -> ArtifactStore:
    """Open the store that the settings name; see ``open_store``."""
    url = settings.resolved_artifacts_url
    return open_store(url, access_of(settings) if url.startswith("s3:") else None)


def open_store(url: str, access: S3Access | None = None) -> ArtifactStore:
    """Open the store that a URL names: ``file:///PATH`` or ``s3://BUCKET/PREFIX``; nothing is sent yet.

    Raises Unprocessable ``unknown-artifact-store``, ``s3-not-installed``.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        return _open_bucket(url, access or S3Access())
    raise Unprocessable(
        detail=f"Artifacts cannot be kept at a URL of the scheme '{parts.scheme}'.",
        code="unknown-artifact-store",
        remedy="Set TUNESMITH_ARTIFACTS_URL to file:///ABSOLUTE/PATH or s3://BUCKET/PREFIX, or leave it empty.",
    )


def _open_bucket(url: str, access: S3Access) -> ArtifactStore:
    """Open a bucket; its library takes memory, so it is imported where it is wanted and nowhere else."""
    bucket, prefix = place_of(url)
    if find_spec("botocore") is None:
        raise Unprocessable(
            "Artifacts are to be kept in S3, but botocore is not installed.",
            code="s3-not-installed",
            remedy="pip install 'tunesmith[s3]'",
        )
    store: ArtifactStore = import_module("app.artifacts.s3").S3Store(bucket, prefix, access)
    return store


def put_bundle(store: ArtifactStore, bundle: Bundle, prefix: str) -> None:
    """Keep a bundle below ``prefix``: its manifest last, so that a manifest means a complete bundle."""
    for name in bundle.manifest.files:
        store.put(f"{prefix}/{name}", bundle.path(name))
    store.put(f"{prefix}/{MANIFEST}", bundle.folder / MANIFEST)


def fetch_bundle(
    store: ArtifactStore,
    prefix: str,
    destination: Path,
    *,
    only: Collection[str] | None = None,
    manifest_sha256: str | None = None,
) -> Bundle:
    """Bring a bundle to ``destination``, all of it or the files named by ``only``, and check every hash.

    ``destination`` appears when everything is there and right; when it exists already, it is checked and kept.
    ``manifest_sha256`` pins the manifest itself. Raises JobFailure ``damaged-bundle``, StorageFull, Unavailable.
    """
    folder = destination.with_name(f".{destination.name}.{secrets.token_hex(6)}.part")
    try:
        store.fetch(f"{prefix}/{MANIFEST}", folder / MANIFEST)
        manifest = Bundle.open(folder, only=(), manifest_sha256=manifest_sha256).manifest
        for name in manifest.files if only is None else only:
            store.fetch(f"{prefix}/{name}", folder / name)
        Bundle.open(folder, only=only)
        with suppress(OSError):  # another process was first: its copy is checked below
            folder.rename(destination)
        return Bundle.open(destination, only=only, manifest_sha256=manifest_sha256)
    except NotFound as error:
        raise damaged(prefix, "a file is missing from the artifact store") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
