"""A dataset repository of the hub: which files it has at one commit, and bringing some of them here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.repocard import metadata_load

from app.artifacts.bundle import sha256_of
from app.errors import JobFailure
from app.schemas.provenance import SourceFile
from worker.failures import is_disk_full, storage_full

CARD = "README.md"
CONVERTED = "refs/convert/parquet"
"""Branch on which the hub keeps its own conversion of a dataset to Parquet files."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Hub:
    """Which hub, and what may be asked of it."""

    endpoint: str
    cache_dir: Path
    enabled: bool = True
    timeout: float = 10.0
    """Seconds to wait for the list of files; a download itself takes as long as it moves."""
    max_bytes: int = 512 * 1024 * 1024
    """Most bytes of data files that one import downloads."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file at one commit."""

    bytes: int
    sha256: str | None
    """Known for large files only."""


class Repository:
    """A dataset at one commit."""

    def __init__(self, hub: Hub, dataset: str, commit: str, files: Mapping[str, HubFile]) -> None:
        self.hub = hub
        self.dataset = dataset
        self.commit = commit
        self.files = files

    @classmethod
    def open(cls, hub: Hub, dataset: str, revision: str | None) -> "Repository":
        """Ask the hub for the commit and its files.

        Raises JobFailure ``hub-disabled``, ``hub-unreachable``, ``unknown-dataset``, ``unknown-revision``,
        ``gated-dataset``.
        """
        if not hub.enabled:
            raise _disabled(dataset, "set TUNESMITH_HUB_ENABLED=true")
        with _in_words(hub, dataset, revision):
            info = HfApi(endpoint=hub.endpoint).dataset_info(
                dataset, revision=revision, timeout=hub.timeout, files_metadata=True
            )
        files = {
            sibling.rfilename: HubFile(sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None)
            for sibling in info.siblings or ()
            if _is_plain(sibling.rfilename)
        }
        if info.sha is None or not _COMMIT.fullmatch(info.sha):
            raise _unreachable(hub, dataset)
        return cls(hub, dataset, info.sha, files)

    def card(self) -> dict[str, Any]:
        """Give the metadata at the head of the dataset's README; empty when there are none that can be read."""
        if CARD not in self.files:
            return {}
        card = self._download(CARD)
        try:
            return metadata_load(card) or {}
        except Exception:  # noqa: BLE001 - a card is written by people; whatever is wrong in it, the files are what counts
            return {}

    def bring(self, names: Sequence[str]) -> dict[str, Path]:
        """Download files and give their places.

        Raises JobFailure ``dataset-too-large``, ``hub-unreachable``, ``damaged-download``, ``storage-full``.
        """
        total = sum(self.files[name].bytes for name in names)
        if total > self.hub.max_bytes:
            raise _too_large(self.dataset, total, self.hub.max_bytes)
        return {name: self._checked(name) for name in names}

    def describe(self, places: Mapping[str, Path]) -> list[SourceFile]:
        """Pin downloaded files by size and hash."""
        return [
            SourceFile(path=name, bytes=place.stat().st_size, sha256=sha256_of(place)) for name, place in places.items()
        ]

    def _checked(self, name: str) -> Path:
        """Download a file; one that is not what the hub says it is, is downloaded once more."""
        wanted = self.files[name].sha256
        for again in (False, True):
            place = self._download(name, again=again)
            if wanted is None or sha256_of(place) == wanted:
                return place
        raise JobFailure(
            detail=f"The file {name} of {self.dataset} arrived damaged twice.",
            code="damaged-download",
            remedy="Check the disk of the worker and the mirror in TUNESMITH_HUB_ENDPOINT, then import it again.",
            kind="resource",
        )

    def _download(self, name: str, *, again: bool = False) -> Path:
        with _in_words(self.hub, self.dataset, self.commit):
            return Path(
                hf_hub_download(
                    self.dataset,
                    name,
                    repo_type="dataset",
                    revision=self.commit,
                    endpoint=self.hub.endpoint,
                    cache_dir=self.hub.cache_dir,
                    force_download=again,
                )
            )


def _is_plain(name: str) -> bool:
    """Say whether a file's name stays inside a folder, whatever system it was made on."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name and "\0" not in name


@contextmanager
def _in_words(hub: Hub, dataset: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except JobFailure:
        raise
    except Exception as error:
        raise _failure(hub, dataset, revision, error) from error


def _failure(hub: Hub, dataset: str, revision: str | None, error: Exception) -> JobFailure:
    if isinstance(error, GatedRepoError):
        return JobFailure(
            detail=f"{dataset} is a gated dataset: its owner decides who may download it.",
            code="gated-dataset",
            remedy="Ask for access on its page, and set HF_TOKEN in the environment of the worker.",
            kind="user",
        )
    if isinstance(error, RevisionNotFoundError):
        return JobFailure(
            detail=f"The dataset {dataset} has no revision {revision}.",
            code="unknown-revision",
            remedy="Name a branch, a tag or a commit of the dataset, or leave revision out.",
            kind="user",
        )
    if isinstance(error, RepositoryNotFoundError) or (
        isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404)
    ):
        return JobFailure(
            detail=f"The hub has no public dataset {dataset}.",
            code="unknown-dataset",
            remedy="Check the spelling. For a private dataset, set HF_TOKEN in the environment of the worker.",
            kind="user",
        )
    if isinstance(error, OfflineModeIsEnabled):
        return _disabled(dataset, "unset HF_HUB_OFFLINE in its environment")
    if is_disk_full(error):
        return storage_full("the download of the dataset")
    return _unreachable(hub, dataset)


def _unreachable(hub: Hub, dataset: str) -> JobFailure:
    return JobFailure(
        detail=f"The hub at {hub.endpoint} could not be reached, or broke off, for the dataset {dataset}.",
        code="hub-unreachable",
        remedy="Check the worker's network, or set TUNESMITH_HUB_ENDPOINT to a mirror; a file can always be uploaded.",
        kind="resource",
    )


def _disabled(dataset: str, remedy: str) -> JobFailure:
    return JobFailure(
        detail=f"{dataset} would have to be downloaded, and downloads are switched off.",
        code="hub-disabled",
        remedy=f"Upload the dataset as a file, or on the worker {remedy}.",
        kind="resource",
    )


def _too_large(dataset: str, total: int, most: int) -> JobFailure:
    return JobFailure(
        detail=f"The chosen files of {dataset} have {total} bytes; at most {most} are downloaded.",
        code="dataset-too-large",
        remedy="Choose fewer with files_per_split or splits, or raise TUNESMITH_MAX_DATASET_BYTES.",
        kind="user",
    )
