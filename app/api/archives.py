"""Downloads of versions: a zip that is written while it is sent."""

import hashlib
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from starlette.responses import StreamingResponse

from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.api.models import Name, find_version
from app.api.problems import documented
from app.artifacts import archive
from app.artifacts.archive import Entry
from app.artifacts.bundle import MANIFEST, damaged
from app.artifacts.store import ArtifactStore
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Unavailable
from app.reports.model_card import model_card
from app.store import models, tables

router = APIRouter(tags=["Models"], route_class=StrictRoute)

CARD = "README.md"
_ZIP = "application/zip"
_MARKDOWN = "text/markdown"

Number = Annotated[int, Path(ge=1, le=models.MAX_VERSION, description="The number of the version.", examples=[3])]


@router.get(
    "/models/{name}/versions/{version}/card",
    summary="Read the card of a version",
    response_class=Response,
    response_description="The model card as Markdown.",
    responses={
        **documented(NotFound, Unavailable),
        200: {"content": {_MARKDOWN: {"schema": {"type": "string"}, "example": "# customer-messages, version 3\n..."}}},
    },
)
def get_card(name: Name, version: Number, services: ServicesDep) -> Response:
    """Tell in words what a version is, how good it is and how sure that is, what it was made of, and how to run it.

    It is the `README.md` of the archive.
    """
    with services.database.transaction(read_only=True) as session:
        row = find_version(session, name, version)
    card = model_card(row.model_name, row.version, stored_manifest(row))
    return Response(card, media_type=_MARKDOWN, headers={"X-Content-Type-Options": "nosniff"})


@router.get(
    "/models/{name}/versions/{version}/archive",
    summary="Download a version",
    response_class=StreamingResponse,
    response_description="A zip of one folder.",
    responses={
        **documented(NotFound, Unavailable),
        200: {"content": {_ZIP: {"schema": {"type": "string", "format": "binary"}, "example": "PK..."}}},
    },
)
def get_archive(
    name: Name,
    version: Number,
    services: ServicesDep,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", max_length=100, description="The ETag of the copy you have.")
    ] = None,
) -> Response:
    """Give every file of a version with its manifest and a model card, `README.md`, as a zip.

    The same version is the same zip, byte by byte; `If-None-Match` with its ETag is answered with 304. It is sent while
    it is read, and each file's hash is checked on the
    way: a damaged one ends the download before the zip is complete.
    """
    with services.database.transaction(read_only=True) as session:
        row = find_version(session, name, version)
    entries = _entries(row, services.artifacts)
    etag = f'"{_digest(entries)}"'
    headers = {"ETag": etag, "Content-Disposition": f'attachment; filename="{name}-v{version}.zip"'}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    size = archive.size_of(entries)
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(archive.write(entries), media_type=_ZIP, headers=headers)


def _entries(row: tables.ModelVersion, artifacts: ArtifactStore) -> list[Entry]:
    """List what goes into the archive. Raises Unavailable ``damaged-bundle`` when a file is missing or too short."""
    manifest = stored_manifest(row)
    folder = f"{row.model_name}-v{row.version}"
    card = model_card(row.model_name, row.version, manifest).encode()
    entries = [Entry(f"{folder}/{CARD}", len(card), lambda: [card])]
    described = {name: (entry.bytes, entry.sha256) for name, entry in manifest.files.items()}
    described[MANIFEST] = (artifacts.size(f"{row.artifact_prefix}/{MANIFEST}") or 0, row.manifest_sha256)
    for name, (size, sha256) in sorted(described.items()):
        key = f"{row.artifact_prefix}/{name}"
        if artifacts.size(key) != size:
            failure = damaged(f"{row.model_name}:{row.version}", f"{name} is missing or not as long as it was")
            raise Unavailable(failure.detail, failure.code, failure.remedy)
        entries.append(Entry(f"{folder}/{name}", size, partial(artifacts.read, key), sha256))
    return entries


def _digest(entries: list[Entry]) -> str:
    """Hash what decides every byte of the archive: names, order and content of its files."""
    digest = hashlib.sha256()
    for entry in entries:
        content = entry.sha256 or hashlib.sha256(b"".join(entry.read())).hexdigest()
        digest.update(f"{entry.name} {entry.size} {content}\n".encode())
    return digest.hexdigest()
