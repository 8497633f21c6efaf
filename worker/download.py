"""The process that brings a base model from the Hugging Face hub: it can be killed at any moment, a thread could not.

``python -m worker.download --events-fd 5 --parent 4242`` reads one ``Wanted`` from stdin and answers with one line.
"""

import argparse
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name

from app.artifacts.bundle import sha256_of
from app.errors import JobFailure
from worker.base_model_files import CONFIG, FILES, Found, Wanted, check_config, check_names
from worker.child import die_with_parent, leave
from worker.failures import is_disk_full, storage_full

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def find(wanted: Wanted) -> Found:
    """Bring a model into the cache; a failure becomes the job's error."""
    try:
        return _find(wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent turns it into words
        return Found(error=as_failure(wanted, error).as_dict("preparing"))


def _find(wanted: Wanted) -> Found:
    if wanted.offline or (wanted.revision is not None and _COMMIT.fullmatch(wanted.revision)):
        cached = _cached(wanted)
        if cached is not None or wanted.offline:
            return cached or Found(error=not_cached(wanted).as_dict("preparing"))
    try:
        revision, files = _list_files(wanted)
    except Exception as error:
        if is_unknown(error):
            raise
        cached = _cached(wanted)
        if cached is None:
            raise unreachable(wanted, error) from error
        return cached
    check_names(wanted.repo, files)
    config = hf_hub_download(
        wanted.repo, CONFIG, revision=revision, cache_dir=wanted.cache_dir, endpoint=wanted.endpoint
    )
    check_config(wanted.repo, Path(config))
    return _download(wanted, revision)


def _list_files(wanted: Wanted) -> tuple[str, Collection[str]]:
    """Ask the hub for the commit and its files."""
    info = HfApi(endpoint=wanted.endpoint).model_info(wanted.repo, revision=wanted.revision, timeout=wanted.timeout)
    if info.sha is None:
        raise unknown(wanted.repo)
    return info.sha, [sibling.rfilename for sibling in info.siblings or ()]


def _download(wanted: Wanted, revision: str) -> Found:
    """Bring the files; those that do not match their hash are brought once more."""
    for _ in range(2):
        folder = Path(
            snapshot_download(
                wanted.repo,
                revision=revision,
                cache_dir=wanted.cache_dir,
                endpoint=wanted.endpoint,
                allow_patterns=list(FILES),
            )
        )
        if not drop_damaged(folder):
            _remember(wanted, revision)
            return Found(folder=folder, revision=revision)
    raise JobFailure(
        detail=f"The files of {wanted.repo} arrived damaged twice.",
        code="damaged-base-model",
        remedy="Check the disk of the worker and the mirror in TUNESMITH_HUB_ENDPOINT, then submit the job again.",
        kind="resource",
    )


def _cached(wanted: Wanted) -> Found | None:
    """Look into the cache; without a wish for a revision, the newest one that is there will do."""
    try:
        folder = Path(
            snapshot_download(
                wanted.repo,
                revision=wanted.revision,
                cache_dir=wanted.cache_dir,
                local_files_only=True,
                allow_patterns=list(FILES),
            )
        )
    except LocalEntryNotFoundError:
        return None
    if drop_damaged(folder) or not (folder / CONFIG).is_file():
        return None
    return Found(folder=folder, revision=folder.name)


def _remember(wanted: Wanted, commit: str) -> None:
    """Note which commit a mere name means while the hub is away: the newest one that was brought here."""
    storage = wanted.cache_dir / repo_folder_name(repo_id=wanted.repo, repo_type="model")
    reference = storage / "refs" / "main"
    reference.parent.mkdir(parents=True, exist_ok=True)
    fresh = reference.with_name(f".{commit}")
    fresh.write_text(commit)
    fresh.replace(reference)


def drop_damaged(folder: Path) -> bool:
    """Remove files whose content is not what the hub named them after; say whether there were any."""
    damaged = [
        (link, blob)
        for link in folder.iterdir()
        if _SHA256.fullmatch((blob := link.resolve()).name) and blob.is_file() and sha256_of(blob) != blob.name
    ]
    for link, blob in damaged:
        link.unlink()
        blob.unlink()
    return bool(damaged)


def unknown(repo: str) -> JobFailure:
    """Give the failure of a name or revision that the hub does not know, or does not show to us."""
    return JobFailure(
        detail=f"The hub has no public model {repo} at the wanted revision.",
        code="unknown-base-model",
        remedy="Check the spelling. For a private or gated model, set HF_TOKEN in the environment of the worker.",
        kind="user",
    )


def not_cached(wanted: Wanted) -> JobFailure:
    """Give the failure of a model that is not on this machine while downloads are switched off."""
    return JobFailure(
        detail=f"{wanted.repo} is not in the worker's cache, and downloads are switched off.",
        code="hub-disabled",
        remedy="Use minilm-l6 or a configured folder, or set TUNESMITH_HUB_ENABLED=true on the worker.",
        kind="resource",
    )


def unreachable(wanted: Wanted, error: Exception) -> JobFailure:
    """Give the failure of a hub that does not answer, or not as a hub should."""
    how = (
        f"answered with status {error.response.status_code}" if isinstance(error, HfHubHTTPError) else "did not answer"
    )
    return JobFailure(
        detail=f"The hub at {wanted.endpoint} could not be reached to download {wanted.repo}: it {how}.",
        code="hub-unreachable",
        remedy="Check the worker's network or set TUNESMITH_HUB_ENDPOINT to a mirror; minilm-l6 needs no network.",
        kind="resource",
    )


def is_unknown(error: Exception) -> bool:
    """Say whether the hub, and not some gateway before it, answered that there is no such model for us."""
    return isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | GatedRepoError)


def as_failure(wanted: Wanted, error: Exception) -> JobFailure:
    """Say what went wrong in words for a person."""
    if isinstance(error, JobFailure):
        return error
    if is_disk_full(error):
        return storage_full("the download of the base model")
    if is_unknown(error):
        return unknown(wanted.repo)
    return JobFailure(
        detail=f"The download of {wanted.repo} broke off: {type(error).__name__}.",
        code="download-failed",
        remedy="Submit the job again: what has arrived is kept. Check the worker's network if it happens again.",
        kind="resource",
    )


def main() -> None:
    """Answer one request."""
    parser = argparse.ArgumentParser(prog="python -m worker.download", description=__doc__)
    parser.add_argument("--events-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    die_with_parent(options.parent)
    found = find(Wanted.model_validate_json(sys.stdin.buffer.readline()))
    os.write(options.events_fd, found.model_dump_json().encode() + b"\n")
    leave(0)


if __name__ == "__main__":
    main()
