"""Jobs over HTTP: submit, look, wait, stop, cancel."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import CallerDep, Cursor, JobId, KeyDep, Limit, Services, ServicesDep, WaitDep
from app.api.idempotency import Answer, Once
from app.api.job_resource import allowed_actions, dataset_ref, describe, describe_all
from app.api.job_submission import submit
from app.api.problems import documented
from app.api.waiting import wait_for
from app.errors import Conflict, FieldError, NotFound, Overloaded, Unavailable, Unprocessable
from app.ids import is_id
from app.preflight.devices import too_few_devices
from app.preflight.jobs import fingerprint
from app.schemas.jobs import TERMINAL, Job, Status, TrainJobRequest
from app.schemas.pages import Page
from app.schemas.plans import JobPlan
from app.store import jobs, tables, workers

router = APIRouter(tags=["Jobs"], route_class=StrictRoute)

_MOST_FILTERS = 16
_GRANTED = ("cancelled", "cancelling", "stopping")

RequestBody = Annotated[TrainJobRequest, Body(openapi_examples=examples.TRAIN)]


@router.post(
    "/jobs",
    status_code=201,
    summary="Train a model",
    response_model=Job,
    response_description="The job, stored and queued; `Location` is its address.",
    responses=documented(Unprocessable, Overloaded, Unavailable),
)
async def create_job(
    request: RequestBody, services: ServicesDep, caller: CallerDep, key: KeyDep, wait: WaitDep, response: Response
) -> Response:
    """Queue a training job and answer with the whole of it.

    The answer is sent after the commit: a job that was answered is never lost. What is wrong with the request, or
    impossible with its dataset, is refused here, before a worker sees it.
    """
    answer = await run_in_threadpool(submit, request, services, caller.actor, key)
    if wait > 0:
        job = await _wait(services, answer.body["id"], wait)
        headers = dict(answer.headers) | dict(response.headers)
        answer = Answer(answer.status, job.model_dump(mode="json"), headers)
    return answer.response()


@router.post(
    "/jobs/validate",
    summary="Check a job without running it",
    response_description="What would run and how long it is.",
    responses=documented(Unprocessable, Unavailable),
)
def validate_job(request: RequestBody, services: ServicesDep) -> JobPlan:
    """Take the same body as `POST /jobs` and say what would run; stores nothing.

    Whatever `POST /jobs` would refuse is refused here with the same problem.
    """
    prepared = services.preflight.prepare(request)
    with services.database.transaction(read_only=True) as session:
        alive = workers.alive(session, services.silence_seconds)
        queued = jobs.counts(session).get("queued", 0)
    return JobPlan(
        request=prepared.request.model_dump(mode="json"),
        dataset=dataset_ref(prepared.dataset),
        base_model=prepared.base_model,
        estimate=prepared.estimate,
        memory=services.preflight.memory(prepared),
        warnings=[*prepared.warnings, *too_few_devices(prepared.request, alive)],
        workers_alive=sum(prepared.request.queue in worker.queues for worker in alive),
        queued_jobs=queued,
    )


@router.get(
    "/jobs",
    summary="List jobs",
    response_description="Newest first.",
    responses=documented(Unprocessable),
    openapi_extra={
        "parameters": [
            {
                "name": "metadata",
                "in": "query",
                "style": "deepObject",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "description": "Jobs with all of these pairs: `metadata[team]=support`.",
            }
        ]
    },
)
def list_jobs(
    request: Request,
    services: ServicesDep,
    status: Annotated[Status | None, Query(description="Only jobs in this status.")] = None,
    model: Annotated[str | None, Query(max_length=63, description="Only jobs for this model.")] = None,
    search: Annotated[
        str | None,
        Query(max_length=200, description="Only jobs with this in their id, model or base model; case is ignored."),
    ] = None,
    dataset_id: Annotated[
        str | None, Query(max_length=64, description="Only jobs with this dataset, for one of several tasks too.")
    ] = None,
    created_after: Annotated[datetime | None, Query(description="Only younger jobs; RFC 3339 with offset.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[Job]:
    """List jobs, newest first, with filters that can be combined."""
    metadata = _metadata_filters(request)
    if created_after is not None and created_after.tzinfo is None:
        raise _bad_parameter("created_after", "needs an offset from UTC", "Write it as 2026-01-31T12:00:00Z.")
    with services.database.transaction(read_only=True) as session:
        rows, following = jobs.page(
            session,
            limit=limit,
            cursor=cursor,
            status=status,
            model=model,
            search=search,
            dataset_id=dataset_id,
            created_after=created_after,
            metadata=metadata,
        )
        data = describe_all(session, rows, silence_seconds=services.silence_seconds)
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    "/jobs/{job_id}",
    summary="Look at a job",
    response_model=Job,
    response_description="The job as it is now.",
    responses=documented(NotFound),
)
async def get_job(job_id: JobId, services: ServicesDep, wait: WaitDep) -> Job:
    """Give everything about a job; with `Prefer: wait=N` answer when it has finished, or after N seconds."""
    return await _wait(services, job_id, wait)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    response_model=Job,
    response_description="The job: `cancelled`, or running still and on its way to stop.",
    responses=documented(NotFound, Conflict),
)
def cancel_job(job_id: JobId, services: ServicesDep, caller: CallerDep, key: KeyDep) -> Response:
    """End a queued job at once, or have a running one stopped within seconds.

    Cancelling a cancelled job again is fine and changes nothing. A job that has succeeded or failed cannot be
    cancelled any more: 409 `already-finished`, with its `allowed_actions`.
    """
    return _ask(services, key, job_id, "cancel", partial(jobs.cancel, actor=caller.actor), _cannot_cancel)


@router.post(
    "/jobs/{job_id}/stop",
    status_code=202,
    summary="Stop training and keep the best",
    response_model=Job,
    response_description="The job, on its way to a version of its best checkpoint so far.",
    responses=documented(NotFound, Conflict),
)
def stop_job(job_id: JobId, services: ServicesDep, caller: CallerDep, key: KeyDep) -> Response:
    """End training now and make a version of the best checkpoint so far, evaluated and exported as always.

    One step and one evaluation are made at least. A job that has not begun has nothing to keep: 409 `not-begun`. One
    that is evaluating or exporting already just goes on. 409 `already-finished` and `being-cancelled` say the rest.
    """
    return _ask(services, key, job_id, "stop", partial(jobs.stop, actor=caller.actor), _cannot_stop)


def job_not_found() -> NotFound:
    """Make the error for a job that does not exist; the same whatever the id looks like."""
    return NotFound("The job does not exist.", code="job-not-found", remedy="List the jobs with GET /jobs.")


def _ask(
    services: Services,
    key: str | None,
    job_id: str,
    what: str,
    verb: Callable[[Session, str], str | None],
    refusal: Callable[[tables.Job, str], Conflict],
) -> Response:
    """Ask something of a job once for a key, and answer with the job as it is then, or with why it cannot be."""

    def work(session: Session) -> Answer:
        outcome = verb(session, job_id) if is_id(job_id, "job") else None
        row = jobs.get(session, job_id)
        if outcome is None or row is None:
            raise job_not_found()
        if outcome not in _GRANTED:
            raise refusal(row, outcome)
        job = describe(session, row, silence_seconds=services.silence_seconds)
        return Answer(202, job.model_dump(mode="json"))

    once = Once(services.database, key, f"POST /jobs/{job_id}/{what}", fingerprint(None))
    return once.answer(work).response()


async def _wait(services: Services, job_id: str, seconds: float) -> Job:
    return await wait_for(lambda: _read(services, job_id), lambda job: job.status in TERMINAL, seconds)


def _read(services: Services, job_id: str) -> Job:
    with services.database.transaction(read_only=True) as session:
        return describe(session, find(session, job_id), silence_seconds=services.silence_seconds)


def find(session: Session, job_id: str) -> tables.Job:
    """Give the row of a job; raises NotFound ``job-not-found``."""
    row = jobs.get(session, job_id) if is_id(job_id, "job") else None
    if row is None:
        raise job_not_found()
    return row


def _cannot_cancel(row: tables.Job, _outcome: str) -> Conflict:
    return Conflict(
        f"The job has already {row.status}.",
        code="already-finished",
        remedy="There is nothing to cancel.",
        extra={"status_of_job": row.status, "allowed_actions": allowed_actions(row)},
    )


def _cannot_stop(row: tables.Job, outcome: str) -> Conflict:
    detail, remedy = {
        "not-begun": ("The job has not begun: there is nothing to keep.", "Cancel it, or wait until it runs."),
        "being-cancelled": ("The job is being cancelled.", "There is nothing left to stop."),
    }.get(outcome, (f"The job has already {row.status}.", "There is nothing to stop."))
    extra = {"status_of_job": row.status, "allowed_actions": allowed_actions(row)}
    return Conflict(detail, code=outcome, remedy=remedy, extra=extra)


def _metadata_filters(request: Request) -> dict[str, str]:
    filters: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith("metadata"):
            key = name[len("metadata[") : -1]
            if name != f"metadata[{key}]" or not key or len(filters) >= _MOST_FILTERS or "\0" in key + value:
                raise _bad_parameter("metadata", "must look like metadata[key]=value", "Write metadata[team]=support.")
            filters[key] = value
    return filters


def _bad_parameter(name: str, detail: str, remedy: str) -> Unprocessable:
    return Unprocessable(
        f"The parameter {name} {detail}.",
        code="invalid-parameter",
        remedy=remedy,
        errors=(FieldError(f"/query/{name}", "invalid-parameter", detail, remedy=remedy),),
    )
