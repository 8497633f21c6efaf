"""A checkpoint as a folder of files: what is in it, and how to tell a whole one from a damaged one. Loads no torch."""

import hashlib
import json
from pathlib import Path

from app.artifacts.bundle import describe_files
from app.errors import JobFailure
from app.schemas.jobs import BaseModelRef

MANIFEST = "manifest.json"
FORMAT = 3
"""Raised whenever a run saves something else than before: what an older release has saved is not used then."""


def fingerprint(job_id: str, request_sha256: str, dataset_sha256: str, base_model: BaseModelRef) -> str:
    """Hash all that a checkpoint depends on, and whose it is: that of an equal job is not used either."""
    parts = [FORMAT, job_id, request_sha256, dataset_sha256, base_model.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def verify(folder: Path, fingerprint: str) -> None:
    """Check that a checkpoint is whole and belongs to what ``fingerprint`` stands for.

    Raises JobFailure ``damaged-checkpoint``.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        found = {name: entry.model_dump() for name, entry in describe_files(folder).items()}
    except (OSError, ValueError) as error:
        raise damaged("its manifest cannot be read") from error
    if manifest.get("fingerprint") != fingerprint:
        raise damaged("it belongs to another job")
    if manifest.get("files") != found:
        raise damaged("its files differ from its manifest")


def damaged(reason: str) -> JobFailure:
    """Make the failure of a checkpoint that must not be used."""
    return JobFailure(
        detail=f"The checkpoint cannot be used: {reason}.",
        code="damaged-checkpoint",
        remedy="Resume from an older checkpoint, or start anew.",
        kind="internal",
        final=False,
    )
