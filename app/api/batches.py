"""Batch predictions over HTTP: ask for many answers at once, see how far they are, and fetch them as one file."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api import batch_inputs, uploads
from app.api.batch_resource import HERE, BatchId, describe, find
from app.api.body import StrictRoute
from app.api.deps import CallerDep, Cursor, KeyDep, Limit, Services, ServicesDep, WaitDep
from app.api.idempotency import Answer, Once
from app.api.problems import documented
from app.api.request_bodies import BATCH
from app.api.streaming import STREAM, stream, wants_stream
from app.api.waiting import wait_for
from app.errors import (
    AppError,
    Conflict,
    DatasetRefused,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    StorageFull,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from app.schemas.batches import (
    BATCH_ENDED,
    BatchEvent,
    BatchOptions,
    BatchPrediction,
)
from app.schemas.pages import Page
from app.store import batches
from app.store.batches import Texts

router = APIRouter(tags=["Batch predictions"], route_class=StrictRoute)

MOST_WAITING = 100


@router.post(
    HERE,
    status_code=202,
    summary="Classify many texts",
    response_model=BatchPrediction,
    response_description="The batch, stored and queued; `Location` is its address.",
    responses=documented(
        NotFound,
        PayloadTooLarge,
        UnsupportedMediaType,
        Unprocessable,
        DatasetRefused,
        Overloaded,
        Unavailable,
        StorageFull,
    ),
    openapi_extra={"requestBody": BATCH},
)
async def create_batch(request: Request, services: ServicesDep, caller: CallerDep, key: KeyDep) -> Response:
    """Have a worker classify every text of a dataset, or of a file that comes along, with one version.

    The version is the one that the reference means now, whatever happens to an alias later. Answers are stored chunk by
    chunk: a batch whose worker is lost goes on behind the last whole chunk, and each row is answered once, in order.
    """
    if batch_inputs.is_form(request):
        return await _of_file(request, services, caller.actor, key)
    body, digest = await batch_inputs.read_request(request)
    options = BatchOptions(**body.model_dump(exclude={"dataset_id"}))

    def perform() -> Answer:
        once = Once(services.database, key, f"POST {HERE}", digest)
        return once.answer(
            lambda session: _submit(
                session,
                services,
                batches.new_batch_id(),
                options,
                batch_inputs.texts_of_dataset(session, body),
                caller.actor,
            )
        )

    return (await run_in_threadpool(perform)).response()


async def _of_file(request: Request, services: Services, actor: str, key: str | None) -> Response:
    async with uploads.private_folder(services.settings) as folder:
        upload = await uploads.receive(request, folder, services.settings.max_dataset_bytes)
        wanted, digest = batch_inputs.upload_of(upload)
        once = Once(services.database, key, f"POST {HERE}", digest)
        earlier = await run_in_threadpool(once.earlier)
        if earlier is not None:
            return earlier.response()
        await run_in_threadpool(_check, services, wanted)
        batch_id = batches.new_batch_id()
        texts = await batch_inputs.store_texts(services, upload, wanted, batch_id)
        options = BatchOptions(**wanted.model_dump(exclude={"text_column", "format"}))
        try:
            answer, is_ours = await run_in_threadpool(
                once.perform, lambda session: _submit(session, services, batch_id, options, texts, actor)
            )
        except AppError:
            await run_in_threadpool(services.artifacts.remove, f"batches/{batch_id}")
            raise
        if not is_ours:
            await run_in_threadpool(services.artifacts.remove, f"batches/{batch_id}")
    return answer.response()


def _check(services: Services, wanted: BatchOptions) -> None:
    """Refuse before anything is stored what would be refused afterwards."""
    with services.database.transaction(read_only=True) as session:
        batch_inputs.resolve(session, wanted.model)
        refuse_crowd(session)


def _submit(
    session: Session, services: Services, batch_id: str, options: BatchOptions, texts: Texts, actor: str
) -> Answer:
    refuse_crowd(session)
    row = batches.submit(session, batch_id, options, batch_inputs.resolve(session, options.model), texts, actor=actor)
    body = describe(session, row, services).model_dump(mode="json")
    return Answer(202, body, {"Location": f"{HERE}/{row.id}"})


def refuse_crowd(session: Session) -> None:
    """Raise Overloaded when too many batches wait already."""
    if batches.waiting(session) >= MOST_WAITING:
        raise Overloaded(
            f"{MOST_WAITING} batch predictions are waiting already.",
            code="queue-full",
            remedy="Wait until some have ended, or add workers.",
            headers={"Retry-After": "60"},
        )


@router.get(HERE, summary="List batch predictions", response_description="Newest first.")
def list_batches(services: ServicesDep, limit: Limit = 20, cursor: Cursor = None) -> Page[BatchPrediction]:
    """List batch predictions, newest first, those that failed too."""
    with services.database.transaction(read_only=True) as session:
        rows, following = batches.page(session, limit, cursor)
        data = [describe(session, row, services) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    f"{HERE}/{{batch_id}}",
    summary="Look at a batch prediction",
    response_model=BatchPrediction,
    response_description="The batch as it is now.",
    responses=documented(NotFound),
)
async def get_batch(batch_id: BatchId, services: ServicesDep, wait: WaitDep) -> BatchPrediction:
    """Give a batch and how far it is; with `Prefer: wait=N` answer when it has ended, or after N seconds."""
    return await wait_for(lambda: _read(services, batch_id), lambda found: found.status in BATCH_ENDED, wait)


@router.get(
    f"{HERE}/{{batch_id}}/events",
    summary="Follow a batch prediction",
    response_model=Page[BatchEvent],
    response_description="Events, oldest first; pass `next_cursor` as `after` to read on.",
    responses={
        **documented(NotFound, Unprocessable),
        200: {
            "content": {
                STREAM: {
                    "schema": {"type": "string"},
                    "example": "retry: 2000\n\nid: 3\nevent: chunk\n"
                    'data: {"seq":3,"type":"chunk","data":{"rows_done":2000,"rows":120000}}\n\n',
                }
            }
        },
        204: {"description": "A stream that has nothing more to say: the batch has ended and all of it was read."},
    },
)
async def list_batch_events(
    batch_id: BatchId,
    request: Request,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, description="Give only events with a larger `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events a page; a stream ends with the batch.")] = 100,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="What EventSource sends to resume; wins over `after`.")
    ] = None,
) -> Response:
    """Give the history of a batch as a JSON list, or as Server-Sent Events with `Accept: text/event-stream`."""
    if wants_stream(request):
        return await stream(partial(_events, services, batch_id), after, last_event_id)
    found, _ = await run_in_threadpool(_events, services, batch_id, after, limit + 1)
    page = Page[BatchEvent](
        data=found[:limit],
        has_more=len(found) > limit,
        next_cursor=str(found[limit - 1].seq) if len(found) > limit else None,
    )
    return Response(page.model_dump_json(), media_type="application/json")


@router.post(
    f"{HERE}/{{batch_id}}/cancel",
    summary="Cancel a batch prediction",
    response_model=BatchPrediction,
    response_description="The batch; a running one ends within seconds.",
    responses=documented(NotFound, Conflict),
)
def cancel_batch(batch_id: BatchId, services: ServicesDep, caller: CallerDep) -> BatchPrediction:
    """End a waiting batch at once, a running one soon; asking twice changes nothing more."""
    _read(services, batch_id)
    outcome = services.database.run(lambda session: batches.cancel(session, batch_id, caller.actor))
    if outcome == "already-finished":
        raise Conflict(
            "The batch has ended already.",
            code="batch-finished",
            remedy="What has ended never changes.",
        )
    return _read(services, batch_id)


@router.delete(
    f"{HERE}/{{batch_id}}",
    status_code=204,
    summary="Delete a batch prediction",
    response_description="It is gone, and so are its answers.",
    responses=documented(NotFound, Conflict),
)
def delete_batch(batch_id: BatchId, services: ServicesDep) -> Response:
    """Remove a batch that has ended, the texts that were sent for it, and its answers."""
    _read(services, batch_id)
    if not services.database.run(lambda session: batches.delete(session, batch_id)):
        raise Conflict("The batch has not ended.", code="batch-not-finished", remedy="Cancel it first.")
    services.artifacts.remove(f"batches/{batch_id}")
    return Response(status_code=204)


def _events(services: Services, batch_id: str, after: int, limit: int) -> tuple[list[BatchEvent], bool]:
    """Give events and whether the batch has ended, as of one moment."""
    with services.database.transaction(read_only=True) as session:
        row = find(session, batch_id)
        found = batches.events_after(session, batch_id, after, limit)
        told = [
            BatchEvent(seq=one.seq, batch_id=batch_id, attempt=one.attempt, type=one.type, at=one.at, data=one.data)
            for one in found
        ]
        return told, row.status in BATCH_ENDED


def _read(services: Services, batch_id: str) -> BatchPrediction:
    with services.database.transaction(read_only=True) as session:
        return describe(session, find(session, batch_id), services)
