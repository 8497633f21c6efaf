"""What a batch prediction is asked with: a dataset by its id, or a file of texts in a form."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api import uploads
from app.api.body import media_type_of, read_json
from app.api.deps import Services
from app.errors import AppError, FieldError, NotFound, Unprocessable, UnsupportedMediaType, nearest
from app.ids import is_id
from app.preflight import fields, strict_json
from app.preflight.jobs import fingerprint
from app.preflight.messages import ROWS
from app.schemas.batches import BatchOptions, BatchRequest, BatchUpload
from app.schemas.datasets import DatasetOptions
from app.store import datasets, models, tables
from app.store.batches import Texts

Asked = tuple[BatchOptions, str]
"""The options, and the hash by which an equal request is known."""


def is_form(request: Request) -> bool:
    """Say whether a file comes along; raises UnsupportedMediaType for what is neither form nor JSON."""
    media_type = media_type_of(request)
    if media_type == uploads.FORM:
        return True
    if media_type == "application/json" or media_type.endswith("+json"):
        return False
    raise UnsupportedMediaType(
        "The body is neither JSON nor a form.",
        code="unsupported-media-type",
        remedy="Send JSON with a dataset_id, or a file as a form: curl -F file=@texts.csv -F model=NAME.",
    )


async def read_request(request: Request) -> tuple[BatchRequest, str]:
    """Read the JSON of a request about a dataset."""
    body = fields.validate(BatchRequest, await read_json(request))
    return body, fingerprint(body.model_dump(mode="json"))


def texts_of_dataset(session: Session, body: BatchRequest) -> Texts:
    """Find the texts. Raises NotFound ``dataset-not-found``."""
    row = datasets.get(session, body.dataset_id) if is_id(body.dataset_id, "ds") else None
    if row is None:
        raise NotFound(
            f"Dataset {body.dataset_id} does not exist.",
            "dataset-not-found",
            "Upload it through POST /datasets, or send the file itself as a form.",
        )
    return Texts(row.artifact_key, row.sha256, row.rows, row.id)


def upload_of(upload: uploads.Upload) -> tuple[BatchUpload, str]:
    """Read the fields of a form. Raises Unprocessable."""
    strict_json.check_text(dict(upload.fields))
    known = list(BatchUpload.model_fields)
    unknown = [name for name in upload.fields if name not in known]
    if unknown:
        raise fields.unknown_names(unknown, known)
    given: dict[str, Any] = {name: value for name, value in upload.fields.items() if value != ""}
    for name in ("top_k", "return_all_scores"):
        if name in given:
            given[name] = _plain(name, given)
    options = fields.validate(BatchUpload, {"format": upload.declared} | given)
    return options, fingerprint({"upload": upload.sha256, "options": options.model_dump(mode="json")})


async def store_texts(services: Services, upload: uploads.Upload, options: BatchUpload, batch_id: str) -> Texts:
    """Check the file and keep its texts. Raises DatasetRefused, PayloadTooLarge, StorageFull, Unavailable."""
    wanted = DatasetOptions(text_column=options.text_column, format=options.format)
    found = await services.inspector.inspect_texts(upload.folder, wanted)
    key = f"batches/{batch_id}/{ROWS}"
    await run_in_threadpool(services.artifacts.put, key, upload.folder / ROWS)
    return Texts(key, found.sha256, found.rows)


def resolve(session: Session, reference: str) -> tables.ModelVersion:
    """Find the version that a reference means now. Raises NotFound."""
    name, _, alias = reference.partition("@")
    name, _, number = name.partition(":")
    row = models.resolve(session, name, alias or None, int(number) if number else None)
    if row is not None:
        return row
    known = models.registry_snapshot(session)
    if name in known:
        code, what = ("alias-not-found", f"alias {alias}") if alias else ("version-not-found", f"version {number}")
        raise NotFound(f"{name} has no {what}.", code, f"See GET /models/{name}.")
    near = nearest(name, known)
    raise NotFound(
        f"There is no model {name} with a version.",
        "model-not-found",
        f"Did you mean '{near}'?" if near else "GET /models lists what there is.",
    )


def _plain(name: str, given: Mapping[str, Any]) -> Any:
    """Read a number or a yes of a form as JSON would write it."""
    try:
        return json.loads(given[name])
    except ValueError:
        raise _unreadable(name) from None


def _unreadable(name: str) -> AppError:
    words = "must be an integer" if name == "top_k" else "must be true or false"
    return Unprocessable(
        f"/{name} {words}.",
        code="invalid-type",
        remedy=f"Write -F {name}={'3' if name == 'top_k' else 'true'}.",
        errors=(FieldError(f"/{name}", "invalid-type", words),),
    )
