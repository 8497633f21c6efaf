"""Makes the OpenAPI document a pleasure to read: what the framework generates, without its noise and with our words."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api import answers
from app.api.scopes import Needed, wanted
from app.release import release
from app.schemas.batches import BatchRequest, BatchUpload
from app.schemas.datasets import DatasetRows
from app.schemas.facades import InferRequest
from app.schemas.keys import SCOPES
from app.schemas.problems import Problem

Document = dict[str, Any]

TITLE = "Tunesmith"
DESCRIPTION = """Trains text classifiers as jobs, keeps what they learned, serves it.

**In four calls:** upload texts and labels (`POST /datasets`), train (`POST /jobs`), follow
(`GET /jobs/{id}/events`), classify (`POST /predict`).

- Every create but that of a key takes an `Idempotency-Key`: send it again after a lost answer, and nothing happens
  twice.
- Every error is `application/problem+json` with a stable `code`, a `remedy`, JSON pointers and the allowed values.
- Every answer carries `X-Request-Id`, which is also in the log of the service.
- Unknown fields are refused, with the name that was probably meant; nothing is coerced.
- Lists are pages: pass `next_cursor` as `cursor`. The same paths also exist under `/v1`.
"""
TAGS = [
    {"name": "Datasets", "description": "Texts with labels: checked on arrival, split once, hashed, never changed."},
    {"name": "Jobs", "description": "Training runs: queued in SQL, run by a GPU worker, followed step by step."},
    {"name": "Models", "description": "What was learned: numbered versions, and aliases that move between them."},
    {"name": "Predictions", "description": "Labels for texts, from any version, milliseconds each."},
    {"name": "Batch predictions", "description": "Labels for a file of texts, from a worker: resumable, in order."},
    {
        "name": "Open Inference dialect",
        "description": "The Open Inference Protocol v2, for clients of Triton or KServe.",
    },
    {"name": "Hugging Face dialect", "description": "Text classification for `huggingface_hub.InferenceClient`."},
    {
        "name": "Text Embeddings Inference dialect",
        "description": "`/predict` and `/info` of that server, with `/tei/NAME` as the base URL.",
    },
    {"name": "Keys", "description": "Who may ask: named keys, each with its scopes. The first closes an open service."},
    {"name": "Service", "description": "Health, readiness, metrics."},
]
KEY = """A key that was made with `POST /keys`, or TUNESMITH_API_KEY, where the operator has set it. Each operation
names the scopes of which the key must have one; `admin` has them all, and `write` has `read`."""
_REF = "#/components/schemas/{model}"
_PAGE = "One page of a list of {item}."
_UNSEEN: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (BatchRequest, "validation"),
    (BatchUpload, "validation"),
    (DatasetRows, "validation"),
    (InferRequest, "validation"),
    (Problem, "serialization"),
]
"""Schemas that no signature shows."""
_OF_THE_FRAMEWORK = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> Document:
    """Build the document once."""
    if app.openapi_schema is None:
        raw = get_openapi(
            title=TITLE,
            version=release(),
            description=DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
            separate_input_output_schemas=False,
        )
        app.openapi_schema = _polished(raw)
    return app.openapi_schema


def _polished(raw: Document) -> Document:
    schemas: Document = raw["components"]["schemas"]
    _, extra = models_json_schema(_UNSEEN, ref_template=_REF)
    schemas |= extra["$defs"]
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    for path, item in raw["paths"].items():
        for method, operation in item.items():
            _secure(operation, wanted(method.upper(), path))
            operation["responses"].setdefault("default", {})
            answers.complete(operation)
    for name, schema in schemas.items():
        schema.setdefault("description", _PAGE.format(item=_item(name)) if _item(name) else "")
    raw["components"]["schemas"] = {_plain(name): schema for name, schema in sorted(schemas.items())}
    raw["components"]["headers"] = answers.header_components()
    raw["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": KEY}}
    raw["security"] = [{}, {"key": []}]
    polished: Document = _reworded(raw)
    return polished


def _secure(operation: Document, needed: Needed) -> None:
    """Say which key an operation wants; none at all is fine where the service has none."""
    operation["security"] = [{}, {"key": list(needed)}] if needed else [{}]
    some = f"the scope {' or '.join(f'`{scope}`' for scope in needed)}" if len(needed) < len(SCOPES) else "any scopes"
    operation["description"] += f"\n\nWants a key with {some}." if needed else "\n\nWants no key."


def _item(name: str) -> str:
    """Name what a page is a page of; nothing for what is no page."""
    found = re.fullmatch(r"Page_(\w+)_", name)
    return found.group(1) if found else ""


def _plain(name: str) -> str:
    """Call a page of jobs JobPage, not Page_Job_."""
    return f"{_item(name)}Page" if _item(name) else name


def _reworded(value: Any, key: str = "") -> Any:
    """Drop titles that only repeat a name, write code as Markdown does, and follow renamed schemas."""
    if key in {"example", "examples", "default"}:
        return value
    if isinstance(value, list):
        return [_reworded(item) for item in value]
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if key == "info" or not _is_noise(name, item)}
        return {name: _reworded(item, name) for name, item in kept.items()}
    if key == "$ref":
        head, _, name = value.rpartition("/")
        return f"{head}/{_plain(name)}"
    return value.replace("``", "`") if key == "description" else value


def _is_noise(name: str, value: Any) -> bool:
    return name == "title" and isinstance(value, str)
