"""The history of a job over HTTP: a list, or a stream that goes on where the client stopped; and its curves."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.body import StrictRoute
from app.api.deps import JobId, Services, ServicesDep
from app.api.jobs import find
from app.api.problems import documented
from app.api.streaming import STREAM, stream, wants_stream
from app.errors import NotFound, Unprocessable
from app.schemas.job_events import JobEvent
from app.schemas.jobs import TERMINAL
from app.schemas.metrics import MetricPoint
from app.schemas.pages import Page
from app.store import events, metrics, tables

router = APIRouter(tags=["Jobs"], route_class=StrictRoute)


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_model=Page[JobEvent],
    response_description="Events, oldest first; pass `next_cursor` as `after` to read on.",
    responses={
        **documented(NotFound, Unprocessable),
        200: {
            "content": {
                STREAM: {
                    "schema": {"type": "string"},
                    "example": "retry: 2000\n\nid: 1\nevent: status\n"
                    'data: {"seq":1,"type":"status","data":{"from":null,"to":"queued"}}\n\n',
                }
            }
        },
        204: {"description": "A stream that has nothing more to say: the job has finished and all of it was read."},
    },
)
async def list_events(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, description="Give only events with a larger `seq`.")] = 0,
    tail: Annotated[
        int | None, Query(ge=0, le=1000, description="Begin with this many events from the end; `after` still holds.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events a page; a stream has no end but the job's.")] = 100,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="What EventSource sends to resume; wins over `after`.")
    ] = None,
) -> Response:
    """Give the history of a job as a JSON list, or as Server-Sent Events with `Accept: text/event-stream`.

    The stream sends what has happened, then what happens, and ends with the event of the terminal status. It is read
    from the database, so a client that comes back with `Last-Event-ID` misses nothing, whatever restarted meanwhile.
    """
    if tail is not None:
        after = max(after, await run_in_threadpool(_last, services, job_id) - tail)
    if wants_stream(request):
        return await stream(partial(_read, services, job_id), after, last_event_id)
    batch, _ = await run_in_threadpool(_read, services, job_id, after, limit + 1)
    page = Page[JobEvent](
        data=batch[:limit],
        has_more=len(batch) > limit,
        next_cursor=str(batch[limit - 1].seq) if len(batch) > limit else None,
    )
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/jobs/{job_id}/metrics",
    summary="Read the curves of a job",
    response_model=Page[MetricPoint],
    response_description="Points by curve and step.",
    responses=documented(NotFound, Unprocessable),
)
def list_metrics(
    job_id: JobId,
    services: ServicesDep,
    names: Annotated[
        list[str] | None, Query(max_length=50, description="Only these curves, such as `train/loss`; repeatable.")
    ] = None,
    max_points: Annotated[
        int, Query(ge=2, le=10_000, description="Points a curve at most; more are thinned evenly.")
    ] = 1000,
) -> Response:
    """Give the history of losses, scores and learning rates; the whole of it in one page."""
    with services.database.transaction(read_only=True) as session:
        find(session, job_id)
        rows = metrics.history(session, job_id, names=names, max_points=max_points)
        page = Page[MetricPoint](data=[_point(row) for row in rows], has_more=False)
    # Written here: the framework would read thousands of points once more before it writes them.
    return Response(page.model_dump_json(), media_type="application/json")


def _read(services: Services, job_id: str, after: int, limit: int) -> tuple[list[JobEvent], bool]:
    """Give events and whether the job has finished, as of one moment."""
    with services.database.transaction(read_only=True) as session:
        job = find(session, job_id)
        rows = events.after(session, job_id, after, limit)
        return [_event(row) for row in rows], job.status in TERMINAL


def _last(services: Services, job_id: str) -> int:
    with services.database.transaction(read_only=True) as session:
        find(session, job_id)
        return events.last(session, job_id)


def _event(row: tables.JobEvent) -> JobEvent:
    return JobEvent(seq=row.seq, job_id=row.job_id, attempt=row.attempt, type=row.type, at=row.at, data=row.data)


def _point(row: tables.MetricPoint) -> MetricPoint:
    return MetricPoint(name=row.name, step=row.step, epoch=row.epoch, value=row.value, attempt=row.attempt, at=row.at)
