"""Imports over HTTP: ask a worker to fetch a dataset, and see how far it is."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Cursor, KeyDep, Limit, Services, ServicesDep, WaitDep
from app.api.idempotency import Answer, Once
from app.api.problems import documented
from app.api.waiting import wait_for
from app.errors import NotFound, Overloaded, Unavailable, Unprocessable
from app.ids import is_id
from app.preflight.imports import check
from app.preflight.jobs import fingerprint
from app.schemas.pages import Page
from app.schemas.sources import IMPORT_ENDED, Import, ImportRequest
from app.store import imports, tables, workers

router = APIRouter(tags=["Datasets"], route_class=StrictRoute)

MOST_WAITING = 100

ImportId = Annotated[
    str, Path(description="The `id` of the import.", examples=["imp_019302f4c9a57d30b2c4e6f8a0b1c2d3"])
]
RequestBody = Annotated[ImportRequest, Body(openapi_examples=examples.IMPORT)]


@router.post(
    "/datasets/import",
    status_code=202,
    summary="Import a dataset",
    response_model=Import,
    response_description="The import, stored and queued; `Location` is its address.",
    responses=documented(Unprocessable, Overloaded, Unavailable),
)
def import_dataset(request: RequestBody, services: ServicesDep, key: KeyDep) -> Response:
    """Have a worker fetch a dataset: from the Hugging Face hub, by a recipe, or from the operator's folder.

    A hub that does not answer, or has no such dataset, is told at once. What the worker fetches goes through the same
    checks as an upload, and the dataset says where its rows came from.
    """
    once = Once(services.database, key, "POST /datasets/import", fingerprint(request.model_dump(mode="json")))
    earlier = once.earlier()
    if earlier is not None:
        return earlier.response()
    check(request.from_, services.settings)

    def store(session: Session) -> Answer:
        if imports.waiting(session) >= MOST_WAITING:
            raise Overloaded(
                f"{MOST_WAITING} imports are waiting already.",
                code="queue-full",
                remedy="Wait until some have ended, or add workers.",
                headers={"Retry-After": "60"},
            )
        row = imports.submit(session, request)
        body = describe(session, row, services).model_dump(mode="json", by_alias=True)
        return Answer(202, body, {"Location": f"/datasets/imports/{row.id}"})

    return once.perform(store)[0].response()


@router.get("/datasets/imports", summary="List imports", response_description="Newest first.")
def list_imports(services: ServicesDep, limit: Limit = 20, cursor: Cursor = None) -> Page[Import]:
    """List imports, newest first, those that failed too."""
    with services.database.transaction(read_only=True) as session:
        rows, following = imports.page(session, limit, cursor)
        data = [describe(session, row, services) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    "/datasets/imports/{import_id}",
    summary="Look at an import",
    response_model=Import,
    response_description="The import as it is now.",
    responses=documented(NotFound),
)
async def get_import(import_id: ImportId, services: ServicesDep, wait: WaitDep) -> Import:
    """Give an import; with `Prefer: wait=N` answer when it has ended, or after N seconds."""
    return await wait_for(lambda: _read(services, import_id), lambda found: found.status in IMPORT_ENDED, wait)


def describe(session: Session, row: tables.Import, services: Services) -> Import:
    """Give an import as clients see it."""
    here = f"/datasets/imports/{row.id}"
    links = {"self": here} | ({"dataset": f"/datasets/{row.dataset_id}"} if row.dataset_id else {})
    return Import.model_validate(
        {
            "id": row.id,
            "status": row.status,
            "status_reason": _reason(session, row, services),
            "name": row.request.get("name"),
            "from": row.request["from"],
            "attempt": row.attempt,
            "dataset_id": row.dataset_id,
            "error": row.error,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "links": links,
        }
    )


def _reason(session: Session, row: tables.Import, services: Services) -> str:
    if row.status == "queued" and not workers.alive(session, services.silence_seconds):
        return "Waiting for a worker: none is connected."
    return row.status_reason


def _read(services: Services, import_id: str) -> Import:
    with services.database.transaction(read_only=True) as session:
        row = imports.get(session, import_id) if is_id(import_id, "imp") else None
        if row is None:
            raise NotFound(
                "The import does not exist.", code="import-not-found", remedy="List them with GET /datasets/imports."
            )
        return describe(session, row, services)
