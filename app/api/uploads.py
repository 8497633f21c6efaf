"""Receives a dataset file, whichever of the three ways it comes, into a private folder that goes away again."""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import Request

from app.api.body import media_type_of
from app.api.multipart import FormStream
from app.artifacts.file import storage_errors
from app.errors import AppError, PayloadTooLarge, Unprocessable, UnsupportedMediaType
from app.preflight.messages import UPLOAD
from app.schemas.datasets import FileFormat
from app.settings import Settings

FORMATS: dict[str, FileFormat | None] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/octet-stream": None,
}
"""What a media type says about the content; None: it says nothing, so the content is looked at."""
FORM = "multipart/form-data"
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Upload:
    """A received file: ``folder/upload``."""

    folder: Path
    sha256: str
    declared: FileFormat | None
    fields: dict[str, str]
    """The other fields of a form."""


@asynccontextmanager
async def private_folder(settings: Settings) -> AsyncIterator[Path]:
    """Make a folder for one upload and remove it afterwards, whatever happens."""
    parent = uploads_dir(settings)
    with storage_errors():
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix="up-", dir=parent))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def uploads_dir(settings: Settings) -> Path:
    """Give the folder of the uploads under way."""
    return settings.data_dir / "uploads"


def remove_stale(settings: Settings) -> None:
    """Remove what a killed process has left behind."""
    oldest = time.time() - _STALE_SECONDS
    for folder in uploads_dir(settings).glob("up-*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


async def receive(request: Request, folder: Path, most: int) -> Upload:
    """Write the body to disk while it comes, hashed and counted.

    Raises UnsupportedMediaType, PayloadTooLarge ``dataset-too-large``, MalformedRequest, StorageFull.
    """
    media_type = media_type_of(request)
    if media_type != FORM and media_type not in FORMATS:
        raise _unsupported()
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most + (1024 * 1024 if media_type == FORM else 0):
        raise _too_large(most)
    with storage_errors(), (folder / UPLOAD).open("wb") as file:
        sink = _Sink(file, most)
        if media_type == FORM:
            form = FormStream(request.headers["content-type"], sink.write)
            await _pour(request, form.feed)
            form.end()
            return Upload(folder, sink.sha256, FORMATS.get(form.file_type or ""), form.fields)
        await _pour(request, sink.write)
    if sink.size == 0:
        raise _empty()
    return Upload(folder, sink.sha256, FORMATS[media_type], {})


async def _pour(request: Request, take: Callable[[bytes], None]) -> None:
    async for chunk in request.stream():
        if chunk:
            take(chunk)


class _Sink:
    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._most:
            raise _too_large(self._most)
        self._digest.update(chunk)
        self._file.write(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _unsupported() -> AppError:
    return UnsupportedMediaType(
        "The Content-Type is not one of a dataset.",
        code="unsupported-media-type",
        remedy=f"Use {FORM} with a part named file, or one of {', '.join(FORMATS)}; with curl: -F file=@data.csv, "
        'or -H "Content-Type: text/csv" --data-binary @data.csv.',
        extra={"allowed": [FORM, *FORMATS]},
    )


def _too_large(most: int) -> AppError:
    return PayloadTooLarge(
        f"The file is larger than {most} bytes.",
        code="dataset-too-large",
        remedy="Send fewer rows, or raise TUNESMITH_MAX_DATASET_BYTES.",
        extra={"limit_bytes": most},
    )


def _empty() -> AppError:
    return Unprocessable("The body is empty.", code="invalid-body", remedy="Send a file or a JSON object with rows.")
