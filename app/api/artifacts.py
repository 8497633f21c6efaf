"""Files of a job over HTTP: its log, its history, its TensorBoard events, and every file of the bundle it published."""

import mimetypes
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from app.api.body import StrictRoute
from app.api.deps import JobId, ServicesDep
from app.api.jobs import find
from app.api.problems import documented
from app.artifacts.bundle import MANIFEST, damaged
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Unavailable, nearest
from app.records import event_file, log
from app.records.history import training_history
from app.schemas.artifacts import JobArtifact
from app.schemas.pages import Page
from app.store import events, metrics, models, tables

router = APIRouter(tags=["Jobs"], route_class=StrictRoute)

LOG, HISTORY = "training.log", "training_history.json"
MOST_POINTS = 10_000
"""Points of a curve in a record; a longer one is thinned evenly."""
MOST_EVENTS = 1_000_000
_TEXT, _JSON, _ANY = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


@router.get(
    "/jobs/{job_id}/logs",
    summary="Read the log of a job",
    response_class=Response,
    response_description="Lines of text, oldest first.",
    responses={
        **documented(NotFound),
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "2026-03-01T09:00:07.120Z 1 INFO step 10, epoch 0.42: loss 1.03  learning_rate 2e-4\n",
                }
            }
        },
    },
)
def get_logs(
    job_id: JobId,
    services: ServicesDep,
    tail: Annotated[int | None, Query(ge=1, le=1_000_000, description="Only this many lines, from the end.")] = None,
) -> Response:
    """Give what happened to a job so far, a line each: time, attempt, level, sentence. No text of the dataset is in it.

    Whatever attempt or worker it came from, the log is one. To follow a job while it runs, read its events.
    """
    with services.database.transaction(read_only=True) as session:
        find(session, job_id)
        # The last lines are of no other steps than the last ones.
        points = _points(session, job_id) if tail is None else metrics.newest(session, job_id, min(tail, MOST_POINTS))
        lines = _log(session, job_id, points)
    return Response("".join(f"{line}\n" for line in lines[-tail if tail else 0 :]), media_type=_TEXT)


@router.get(
    "/jobs/{job_id}/artifacts",
    summary="List the files of a job",
    response_description="Records first, then the files of the bundle.",
    responses=documented(NotFound),
)
def list_artifacts(job_id: JobId, services: ServicesDep) -> Page[JobArtifact]:
    """List what can be downloaded of a job: at any time its records, after its success the files of its version."""
    with services.database.transaction(read_only=True) as session:
        row = find(session, job_id)
        return Page(data=_listed(row, _version(session, row)), has_more=False)


@router.get(
    "/jobs/{job_id}/artifacts/{name:path}",
    summary="Download a file of a job",
    response_class=StreamingResponse,
    response_description="The content of the file.",
    responses={
        **documented(NotFound, Unavailable),
        200: {"content": {_ANY: {"schema": {"type": "string", "format": "binary"}, "example": "..."}}},
    },
)
def get_artifact(
    job_id: JobId,
    name: Annotated[str, Path(description="A name of the list of files.", examples=[HISTORY])],
    services: ServicesDep,
) -> Response:
    """Give one file by its name in the list; a name that is not in the list is never looked for."""
    with services.database.transaction(read_only=True) as session:
        row = find(session, job_id)
        version = _version(session, row)
        wanted = next((item for item in _listed(row, version) if item.name == name), None)
        if wanted is None:
            raise _not_found(name, [item.name for item in _listed(row, version)])
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2])}"}
        if version is None or wanted.kind == "record":
            content = _records(row)[name](session)
            return Response(content, media_type=wanted.media_type, headers=headers)
        key = f"{version.artifact_prefix}/{name}"
    size = services.artifacts.size(key)
    if size is None:
        failure = damaged(f"{version.model_name}:{version.version}", f"{name} is missing")
        raise Unavailable(failure.detail, failure.code, failure.remedy)
    headers |= {"Content-Length": str(size), "ETag": f'"{wanted.sha256}"'}
    return StreamingResponse(services.artifacts.read(key), media_type=wanted.media_type, headers=headers)


def _records(row: tables.Job) -> dict[str, Callable[[Session], bytes]]:
    """Give the makers of the records of a job by name."""
    return {
        LOG: lambda session: "".join(f"{line}\n" for line in _log(session, row.id, _points(session, row.id))).encode(),
        HISTORY: lambda session: training_history(row, _points(session, row.id)).encode(),
        event_file.file_name(row.id, row.created_at.timestamp()): lambda session: event_file.whole(
            (point.at.timestamp(), point.step, point.name, point.value) for point in _points(session, row.id)
        ),
    }


def _listed(row: tables.Job, version: tables.ModelVersion | None) -> list[JobArtifact]:
    listed = [_artifact(row.id, name, "record", None, None) for name in _records(row)]
    if version is not None:
        manifest = stored_manifest(version)
        for name, entry in sorted(manifest.files.items()):
            listed.append(_artifact(row.id, name, "bundle", entry.bytes, entry.sha256))
        listed.append(_artifact(row.id, MANIFEST, "bundle", None, version.manifest_sha256))
    return listed


def _artifact(job_id: str, name: str, kind: str, size: int | None, sha256: str | None) -> JobArtifact:
    media_type = {"log": _TEXT, "json": _JSON}.get(name.rpartition(".")[2]) or mimetypes.guess_type(name)[0] or _ANY
    return JobArtifact.model_validate(
        {
            "name": name,
            "kind": kind,
            "media_type": media_type,
            "bytes": size,
            "sha256": sha256,
            "href": f"/jobs/{job_id}/artifacts/{quote(name)}",
        }
    )


def _version(session: Session, row: tables.Job) -> tables.ModelVersion | None:
    return models.of_jobs(session, [row.id]).get(row.id)


def _log(session: Session, job_id: str, points: list[tables.MetricPoint]) -> list[str]:
    return log.lines(events.after(session, job_id, 0, MOST_EVENTS), points)


def _points(session: Session, job_id: str) -> list[tables.MetricPoint]:
    return metrics.history(session, job_id, max_points=MOST_POINTS)


def _not_found(name: str, known: list[str]) -> NotFound:
    near = nearest(name[:100], known)
    return NotFound(
        "The job has no file of this name.",
        code="artifact-not-found",
        remedy=f"Did you mean {near}?" if near else "List them with GET /jobs/{id}/artifacts.",
    )
