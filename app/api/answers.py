"""What the OpenAPI page tells about answers: their headers, an example of each, and the problems any call may meet."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from app.schemas.keys import SCOPES

Document = dict[str, Any]

PROBLEM_TYPE = "application/problem+json"
_JSON = "application/json"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}

HEADERS: dict[str, Document] = {
    "X-Request-Id": {"description": "The id of this call, which is in the log of the service too."},
    "Location": {
        "description": "The address of what was made.",
        "example": "/jobs/job_019302f4c8d27c31a3b1f0e4d5c6b7a8",
    },
    "ETag": {
        "description": "The revision of the alias or its traffic, for `If-Match`; the hash of an archive.",
        "example": '"7"',
    },
    "Content-Disposition": {
        "description": "The name to save it under.",
        "example": 'attachment; filename="customer-messages-v1.zip"',
    },
    "Retry-After": {"description": "Seconds after which it is worth trying again.", "example": "5"},
    "Idempotency-Replayed": {"description": "`true`: the answer that the first request with this key has got."},
    "Preference-Applied": {"description": "The preference that was followed, such as `wait=30`."},
    "X-Model-Version": {"description": "The version that answered.", "example": "customer-messages:3"},
    "X-Prediction-Ids": {
        "description": "For `POST /predictions/{id}/feedback`: the id of each answer, `-` for one that was not logged; "
        "of the first 64 texts, and only where any of them was logged.",
        "example": "pred_019302f4d1b37a4fb2c6e8d0f1a3b5c7, -",
    },
    "Server-Timing": {
        "description": "Milliseconds of each step, for the developer tools of a browser.",
        "example": "total;dur=5.31, queue;dur=0.02, tokenize;dur=0.31, infer;dur=4.87",
    },
    "Inference-Header-Content-Length": {
        "description": "Bytes of JSON before the tensors.",
        "example": "312",
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "example": 'Bearer realm="tunesmith"'},
    "Allow": {"description": "The methods that the path takes.", "example": "GET, POST"},
}
"""Headers that answers carry; all are strings."""

_GOOD_HEADERS: dict[str, tuple[str, ...]] = {
    "create_dataset": ("Location", "Idempotency-Replayed"),
    "import_dataset": ("Location", "Idempotency-Replayed"),
    "get_import": ("Preference-Applied",),
    "create_job": ("Location", "Idempotency-Replayed", "Preference-Applied"),
    "get_job": ("Preference-Applied",),
    "cancel_job": ("Idempotency-Replayed",),
    "stop_job": ("Idempotency-Replayed",),
    "get_archive": ("ETag", "Content-Disposition"),
    "create_batch": ("Location", "Idempotency-Replayed"),
    "get_batch": ("Preference-Applied",),
    "create_evaluation": ("Location", "Idempotency-Replayed"),
    "get_evaluation": ("Preference-Applied",),
    "get_batch_results": ("Content-Disposition",),
    "hugging_face_classify": ("X-Model-Version", "X-Prediction-Ids"),
    "oip_infer": ("X-Model-Version", "X-Prediction-Ids", "Inference-Header-Content-Length"),
    "oip_infer_version": ("X-Model-Version", "Inference-Header-Content-Length"),
    "tei_predict": ("X-Model-Version", "X-Prediction-Ids"),
    "get_alias": ("ETag",),
    "put_alias": ("ETag",),
    "give_feedback": ("Idempotency-Replayed",),
    "get_traffic": ("ETag",),
    "put_traffic": ("ETag", "Idempotency-Replayed"),
    "roll_back_alias": ("ETag", "Idempotency-Replayed"),
    "predict": ("X-Model-Version", "Server-Timing"),
    "predict_with_model": ("X-Model-Version", "Server-Timing"),
}
_BAD_HEADERS = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


def complete(operation: Document) -> None:
    """Add to an operation the problems that any call may meet, and the headers and examples of all its answers."""
    for status in _always(operation):
        operation["responses"].setdefault(status, {"description": _problem(operation, status)["title"]})
    answers: dict[str, Document] = operation["responses"]
    for status, answer in answers.items():
        if status.isdecimal() and int(status) < 400:
            _complete_good(operation["operationId"], answer)
        else:
            _complete_bad(operation, status, answer)
    operation["responses"] = dict(sorted(answers.items()))


def header_components() -> Document:
    """Describe the headers that answers refer to."""
    return {name: {**header, "schema": {"type": "string"}} for name, header in HEADERS.items()}


@cache
def recorded() -> Document:
    """Give what a real service has answered: ``answers`` by operation, ``problems`` by status, some by operation."""
    text = files("app.api").joinpath("page", "answers.json").read_text(encoding="utf-8")
    found: Document = json.loads(text)
    return found


def _always(operation: Document) -> list[str]:
    scopes = operation["security"][-1].get("key")
    statuses = [] if scopes is None else ["401"] if len(scopes) == len(SCOPES) else ["401", "403"]
    takes_json = _JSON in operation.get("requestBody", {}).get("content", {})
    return [*statuses, "400", "413", "415", "422"] if takes_json else statuses


def _complete_good(name: str, answer: Document) -> None:
    content = answer.get("content", {}).get(_JSON)
    if content is not None and name in recorded()["answers"]:
        content["example"] = recorded()["answers"][name]
    answer["headers"] = _references("X-Request-Id", *_GOOD_HEADERS.get(name, ()))


def _complete_bad(operation: Document, status: str, answer: Document) -> None:
    if status == "default":
        answer |= {"description": "Any other problem", "content": {PROBLEM_TYPE: {"schema": _PROBLEM}}}
        return
    example = _problem(operation, status)
    answer["description"] = example["title"]
    answer["content"] = {PROBLEM_TYPE: {"schema": _PROBLEM, "example": example}}
    answer["headers"] = _references("X-Request-Id", *_BAD_HEADERS.get(status, ()))


def _problem(operation: Document, status: str) -> Document:
    """Give the most fitting example: of the operation, else of its tag, else of the status."""
    problems: Document = recorded()["problems"]
    places = (f"{operation['operationId']} {status}", *(f"{tag} {status}" for tag in operation["tags"]), status)
    found: Document = next(problems[place] for place in places if place in problems)
    return found


def _references(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
