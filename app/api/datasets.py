"""Datasets over HTTP: upload in one of three ways, look, page through, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api import dataset_options as options
from app.api import uploads
from app.api.body import StrictRoute
from app.api.deps import Cursor, DatasetId, KeyDep, Limit, Services, ServicesDep
from app.api.idempotency import Answer, Once
from app.api.problems import documented
from app.api.request_bodies import DATASET
from app.errors import (
    AppError,
    Conflict,
    DatasetRefused,
    MalformedRequest,
    NotFound,
    PayloadTooLarge,
    StorageFull,
    Unprocessable,
    UnsupportedMediaType,
)
from app.ids import is_id, new_id
from app.preflight.jobs import fingerprint
from app.preflight.messages import ROWS, Accepted
from app.preflight.stored import dataset_row
from app.schemas.datasets import Dataset, DatasetOptions, DatasetProfile, SplitName, StoredRow
from app.schemas.pages import Page
from app.schemas.provenance import Provenance
from app.store import datasets, tables
from app.telemetry import DATASETS_REFUSED, DATASETS_STORED

router = APIRouter(tags=["Datasets"], route_class=StrictRoute)


@router.post(
    "/datasets",
    status_code=201,
    summary="Upload a dataset",
    response_model=Dataset,
    response_description="The dataset, checked, split and stored; `Location` is its address.",
    responses=documented(MalformedRequest, PayloadTooLarge, UnsupportedMediaType, DatasetRefused, StorageFull),
    openapi_extra={"requestBody": DATASET},
)
async def create_dataset(
    request: Request,
    services: ServicesDep,
    key: KeyDep,
    name: options.Name = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    split_column: options.SplitColumn = None,
    label_delimiter: options.LabelDelimiter = None,
    difficulty_column: options.DifficultyColumn = None,
    slice_columns: options.SliceColumns = None,
    label_names: options.LabelNames = None,
    format: options.Format = None,
    validation_fraction: options.ValidationFraction = None,
    test_fraction: options.TestFraction = None,
    seed: options.Seed = None,
) -> Response:
    """Upload texts and labels: a form with a file, the bare file as body, or rows as JSON.

    The file is streamed to disk, its format told from its content. Every row is checked; a refusal names the rules,
    the lines and the remedy, and stores nothing. Rows without a split are divided by label, the same way each time.
    A stored dataset never changes, so a job can be repeated on exactly its data.
    """
    query = {
        "name": name,
        "text_column": text_column,
        "label_column": label_column,
        "split_column": split_column,
        "label_delimiter": label_delimiter,
        "difficulty_column": difficulty_column,
        "slice_columns": slice_columns,
        "label_names": label_names,
        "format": format,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": seed,
    }
    async with uploads.private_folder(services.settings) as folder:
        upload = await uploads.receive(request, folder, services.settings.max_dataset_bytes)
        wanted = options.build({"format": upload.declared}, query, options.of_form(upload.fields))
        once = Once(
            services.database,
            key,
            "POST /datasets",
            fingerprint({"upload": upload.sha256, "options": wanted.model_dump(mode="json")}),
        )
        answer = await run_in_threadpool(once.earlier)
        if answer is None:
            accepted = await _inspect(services, upload, wanted)
            answer = await run_in_threadpool(_store, services, upload, accepted, once)
    return answer.response()


@router.get("/datasets", summary="List datasets", response_description="Newest first.")
def list_datasets(services: ServicesDep, limit: Limit = 20, cursor: Cursor = None) -> Page[Dataset]:
    """List the stored datasets, newest first."""
    with services.database.transaction(read_only=True) as session:
        rows, following = datasets.page(session, limit, cursor)
        data = [describe(row) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    "/datasets/{dataset_id}",
    summary="Look at a dataset",
    response_description="The dataset.",
    responses=documented(NotFound),
)
def get_dataset(dataset_id: DatasetId, services: ServicesDep) -> Dataset:
    """Give a dataset: its labels, its splits, its hash and its profile."""
    return describe(_find(services, dataset_id))


@router.get(
    "/datasets/{dataset_id}/profile",
    summary="Profile of a dataset",
    response_description="The profile.",
    responses=documented(NotFound),
)
def get_profile(dataset_id: DatasetId, services: ServicesDep) -> DatasetProfile:
    """Give what can be known before a GPU is touched: counts, lengths, the majority baseline, and warnings."""
    return DatasetProfile.model_validate(_find(services, dataset_id).profile)


@router.get(
    "/datasets/{dataset_id}/rows",
    summary="Page through the rows",
    response_description="Rows in the order of the file.",
    responses=documented(NotFound, Unprocessable),
)
def list_rows(
    dataset_id: DatasetId,
    services: ServicesDep,
    split: Annotated[SplitName | None, Query(description="Only rows of this split.")] = None,
    label: Annotated[str | None, Query(max_length=200, description="Only rows with this label.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[StoredRow]:
    """Give the rows as they are trained on: text, label name and split."""
    dataset = _find(services, dataset_id)
    data, following = services.rows.page(dataset, limit, cursor, split, label)
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.delete(
    "/datasets/{dataset_id}",
    status_code=204,
    summary="Delete a dataset",
    response_description="It is gone.",
    responses=documented(NotFound, Conflict),
)
def delete_dataset(dataset_id: DatasetId, services: ServicesDep) -> None:
    """Delete a dataset that no job refers to; finished jobs refer to theirs for ever."""
    dataset = _find(services, dataset_id)
    services.database.run(lambda session: datasets.delete(session, dataset_id))
    services.artifacts.delete(dataset.artifact_key)
    services.rows.forget(dataset_id)


def describe(row: tables.Dataset) -> Dataset:
    """Give a dataset as clients see it."""
    here = f"/datasets/{row.id}"
    return Dataset.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "sha256": row.sha256,
            "bytes": row.bytes,
            "rows": row.rows,
            "format": row.format,
            "labels": row.labels,
            "counts": row.counts,
            "profile": DatasetProfile.model_validate(row.profile),
            "provenance": None if row.provenance is None else Provenance.model_validate(row.provenance),
            "created_at": row.created_at,
            "links": {"self": here, "profile": f"{here}/profile", "rows": f"{here}/rows"},
        }
    )


async def _inspect(services: Services, upload: uploads.Upload, wanted: DatasetOptions) -> Accepted:
    try:
        return await services.inspector.inspect(upload.folder, wanted)
    except AppError as error:
        DATASETS_REFUSED.labels(code=error.code).inc()
        raise


def _store(services: Services, upload: uploads.Upload, accepted: Accepted, once: Once) -> Answer:
    """Keep the canonical rows, then the row that makes them a dataset; on failure keep neither."""
    dataset_id = new_id("ds")
    artifact_key = f"datasets/{dataset_id}/{ROWS}"
    services.artifacts.put(artifact_key, upload.folder / ROWS)

    def insert(session: Session) -> Answer:
        row = datasets.insert(session, dataset_row(dataset_id, artifact_key, accepted))
        return Answer(201, describe(row).model_dump(mode="json"), {"Location": f"/datasets/{dataset_id}"})

    try:
        answer, is_new = once.perform(insert)
    except AppError:
        _remove_unless_stored(services, dataset_id, artifact_key)
        raise
    if is_new:
        DATASETS_STORED.labels(format=accepted.format).inc()
    else:
        services.artifacts.delete(artifact_key)
    return answer


def _remove_unless_stored(services: Services, dataset_id: str, artifact_key: str) -> None:
    """Remove the rows of a dataset that did not come to be; when that cannot be known, an orphan does less harm."""
    try:
        with services.database.transaction(read_only=True) as session:
            stored = datasets.get(session, dataset_id) is not None
    except AppError:
        return
    if not stored:
        services.artifacts.delete(artifact_key)


def _find(services: Services, dataset_id: str) -> tables.Dataset:
    with services.database.transaction(read_only=True) as session:
        row = datasets.get(session, dataset_id) if is_id(dataset_id, "ds") else None
    if row is None:
        raise NotFound(
            "The dataset does not exist.", code="dataset-not-found", remedy="List the datasets with GET /datasets."
        )
    return row
