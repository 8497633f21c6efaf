"""The answers of a batch prediction over HTTP, as one file."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from app.api.batch_resource import HERE, BatchId, find
from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.api.problems import documented
from app.artifacts.store import ArtifactStore
from app.errors import Conflict, NotFound, Unavailable
from app.records.batch_table import as_csv
from app.schemas.batches import BatchColumns, BatchOptions, ResultFormat
from app.store import batches, tables

router = APIRouter(tags=["Batch predictions"], route_class=StrictRoute)

_CSV, _JSON_LINES = "text/csv", "application/x-ndjson"


@router.get(
    f"{HERE}/{{batch_id}}/results",
    summary="Fetch the answers of a batch prediction",
    response_class=StreamingResponse,
    response_description="One line for each row, in their order.",
    responses={
        **documented(NotFound, Conflict, Unavailable),
        200: {
            "content": {
                _JSON_LINES: {
                    "schema": {"type": "string"},
                    "example": '{"row": 0, "text": "Where is my parcel?", "label": "delivery", "score": 0.97, '
                    '"tokens": 7, "truncated": false}\n',
                },
                _CSV: {
                    "schema": {"type": "string"},
                    "example": "row,text,label,score,truncated,error\r\n0,Where is my parcel?,delivery,0.97,False,\r\n",
                },
            }
        },
    },
)
def get_batch_results(
    batch_id: BatchId,
    services: ServicesDep,
    format: Annotated[ResultFormat, Query(description="JSON Lines, or CSV for spreadsheets.")] = "jsonl",
    partial: Annotated[
        bool, Query(description="Give what is stored so far; else a batch that has not succeeded is refused.")
    ] = False,
) -> Response:
    """Give the answers: `row` counts from 0 in the order of the input.

    A text that the version refuses, for being too long, has an `error` in place of a label. In CSV a text that a
    spreadsheet would take for a formula gets an apostrophe in front.
    """
    with services.database.transaction(read_only=True) as session:
        row = find(session, batch_id)
        chunks = batches.chunks(session, batch_id)
    if row.status != "succeeded" and not partial:
        raise Conflict(
            f"The batch is {row.status}: {row.rows_done} of {row.rows} rows are classified.",
            code="batch-not-finished",
            remedy="Wait for it with GET /batch-predictions/{id} and Prefer: wait=60, or ask with partial=true.",
        )
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.{format}"'}
    blocks = _blocks(services.artifacts, chunks)
    if format == "csv":
        options = BatchOptions.model_validate(row.request)
        columns = BatchColumns.model_validate(row.columns)
        scores = options.return_all_scores or options.top_k is not None
        table = as_csv(blocks, columns, scores=scores, judged=row.judging is not None)
        return StreamingResponse(table, media_type=f"{_CSV}; charset=utf-8", headers=headers)
    headers["Content-Length"] = str(sum(chunk.bytes for chunk in chunks))
    return StreamingResponse(blocks, media_type=_JSON_LINES, headers=headers)


def _blocks(artifacts: ArtifactStore, chunks: list[tables.BatchChunk]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from artifacts.read(chunk.artifact_key)
