"""The report of a job and its plots over HTTP: everything known of it so far, in the form the reader asks for."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import ValidationError

from app.api.body import StrictRoute
from app.api.deps import JobId, Services, ServicesDep
from app.api.job_resource import describe
from app.api.jobs import find
from app.api.problems import documented
from app.artifacts.keys import ISSUES, of_attempt
from app.artifacts.store import ArtifactStore
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Unprocessable, nearest
from app.logging import get_logger
from app.reports.assembly import build_report
from app.reports.figures import PLOTS, plot
from app.reports.html import as_html
from app.reports.markdown import as_markdown
from app.reports.png import as_png
from app.schemas.datasets import DatasetProfile
from app.schemas.issues import DataIssues
from app.schemas.reports import Report
from app.store import datasets, metrics, models

router = APIRouter(tags=["Jobs"], route_class=StrictRoute)
log = get_logger(__name__)

Format = Literal["json", "markdown", "md", "html"]
MOST_POINTS = 600
"""Points of one curve that a report is made of: more than are drawn, enough for advice; extremes come besides."""
_HTML, _MARKDOWN, _JSON = "text/html", "text/markdown", "application/json"
_SVG, _PNG = "image/svg+xml", "image/png"
_TYPES: dict[Format, str] = {"json": _JSON, "markdown": _MARKDOWN, "md": _MARKDOWN, "html": _HTML}
_PICTURE = {"schema": {"type": "string"}, "example": '<svg xmlns="http://www.w3.org/2000/svg" ...>...</svg>'}
_PIXELS = {"schema": {"type": "string", "format": "binary"}, "example": "\x89PNG..."}
# Neither page nor picture loads or runs anything, whatever a label or a text says.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@router.get(
    "/jobs/{job_id}/report",
    summary="Read the report of a job",
    response_model=Report,
    response_description="Data, hyperparameters, curves, scores, advice: as JSON, Markdown or one HTML page.",
    responses={
        **documented(NotFound, Unprocessable),
        200: {
            "content": {
                _MARKDOWN: {"schema": {"type": "string"}, "example": "# sentiment:3: training report\n\n..."},
                _HTML: {"schema": {"type": "string"}, "example": '<!doctype html>\n<html lang="en">...'},
            }
        },
    },
)
def get_report(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    format: Annotated[Format | None, Query(description="Wins over `Accept`; `md` is `markdown`.")] = None,
) -> Response:
    """Give everything known of a job on one page; of a job that has not finished, what there is so far.

    JSON unless `format` or `Accept` asks for `text/markdown` or `text/html`. The HTML page is one file that loads
    nothing, so it can be kept or sent on.
    """
    report = _report(services, job_id)
    media_type = _TYPES[format] if format else preferred(request.headers.get("accept", ""))
    headers = {"Vary": "Accept", **_INERT}
    if media_type == _HTML:
        return Response(as_html(report), media_type=f"{_HTML}; charset=utf-8", headers=headers)
    if media_type == _MARKDOWN:
        return Response(as_markdown(report), media_type=f"{_MARKDOWN}; charset=utf-8", headers=headers)
    return Response(report.model_dump_json(by_alias=True), media_type=_JSON, headers=headers)


PlotName = Annotated[str, PathParameter(description=f"One of {', '.join(PLOTS)}.", examples=["loss"])]


@router.get(
    "/jobs/{job_id}/plots/{name}.svg",
    summary="Draw a plot of a job",
    response_class=Response,
    response_description="An SVG picture that follows the reader's light or dark scheme.",
    responses={**documented(NotFound), 200: {"content": {_SVG: _PICTURE}}},
)
def get_plot(
    job_id: JobId,
    name: PlotName,
    services: ServicesDep,
) -> Response:
    """Draw the curves or the confusion matrix of a job as of now."""
    return Response(_drawn(services, job_id, name), media_type=_SVG, headers=_INERT)


@router.get(
    "/jobs/{job_id}/plots/{name}.png",
    summary="Draw a plot of a job as PNG",
    response_class=Response,
    response_description="The same picture in its light colours, at two pixels a unit.",
    responses={**documented(NotFound), 200: {"content": {_PNG: _PIXELS}}},
)
def get_plot_as_png(job_id: JobId, name: PlotName, services: ServicesDep) -> Response:
    """Draw the same for a slide, a mail or a paper that takes no SVG."""
    return Response(as_png(_drawn(services, job_id, name)), media_type=_PNG, headers=_INERT)


def _drawn(services: Services, job_id: str, name: str) -> str:
    """Draw a plot as SVG. Raises NotFound ``plot-not-found`` or ``plot-without-data``."""
    if name not in PLOTS:
        near = nearest(name[:100], PLOTS)
        raise NotFound(
            "There is no plot of this name.",
            code="plot-not-found",
            remedy=f"Did you mean {near}?" if near else f"There are {', '.join(PLOTS)}.",
            extra={"allowed": list(PLOTS)},
        )
    drawn = plot(_report(services, job_id), name)
    if drawn is None:
        raise NotFound(
            f"The job has recorded nothing yet that could be drawn as {name}.",
            code="plot-without-data",
            remedy="Curves begin with the first steps, the confusion matrix with the first evaluation.",
        )
    return drawn


def preferred(accept: str) -> str:
    """Choose a media type by an ``Accept`` header: the one liked best, JSON among equals and when in doubt."""
    liked = {_JSON: 0.0, _MARKDOWN: 0.0, _HTML: 0.0}
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        if media_type in liked:
            liked[media_type] = max(liked[media_type], _quality(parameters))
    best = max(liked, key=lambda media_type: liked[media_type])
    return best if liked[best] > 0 else _JSON


def _quality(parameters: list[str]) -> float:
    given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return min(max(float(given), 0.0), 1.0)
    except ValueError:
        return 0.0


def _report(services: Services, job_id: str) -> Report:
    with services.database.transaction(read_only=True) as session:
        row = find(session, job_id)
        job = describe(session, row, silence_seconds=services.silence_seconds)
        curves = metrics.outlines(session, job_id, MOST_POINTS)
        dataset = datasets.get(session, row.dataset_id)
        version = models.of_jobs(session, [job_id]).get(job_id)
    return build_report(
        job,
        [point for curve in curves for point in curve.points],
        recorded={curve.name: curve.recorded for curve in curves},
        profile=DatasetProfile.model_validate(dataset.profile) if dataset else None,
        manifest=stored_manifest(version) if version else None,
        issues=read_issues(services.artifacts, job_id, version.attempt) if version else None,
    )


def read_issues(artifacts: ArtifactStore, job_id: str, attempt: int) -> DataIssues | None:
    """Give what the attempt found about its data; None when it kept nothing, or nothing that can be read."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / ISSUES
        try:
            artifacts.fetch(of_attempt(job_id, attempt, ISSUES), place)
            return DataIssues.model_validate_json(place.read_bytes())
        except NotFound:
            return None
        except ValidationError:
            log.warning("issues_unreadable", job_id=job_id, attempt=attempt)
            return None
