"""The request bodies that the OpenAPI page cannot read off a signature, because they are streamed."""

from typing import Any

from app.api import examples
from app.schemas.batches import BatchUpload
from app.schemas.datasets import DatasetOptions

_OPTIONS = (
    *(name for name in DatasetOptions.model_fields if name != "split"),
    "validation_fraction",
    "test_fraction",
    "seed",
)

_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, TSV, JSON, JSON Lines or Parquet."},
        **{name: {"type": "string", "description": f"As the query parameter `{name}`."} for name in _OPTIONS},
    },
}


def _text(example: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "example": example}


DATASET: dict[str, Any] = {
    "required": True,
    "description": "`curl -F file=@data.csv URL/datasets`, or the bare file with its Content-Type "
    "(`--data-binary @data.csv`) and options in the query, or JSON rows.",
    "content": {
        "multipart/form-data": {"schema": _FORM},
        "application/json": {"schema": {"$ref": "#/components/schemas/DatasetRows"}, "examples": examples.ROWS},
        "text/csv": _text("text,label\nWhere is my parcel?,delivery\nI was charged twice.,billing\n"),
        "text/tab-separated-values": _text("text\tlabel\nWhere is my parcel?\tdelivery\n"),
        "application/x-ndjson": _text('{"text": "Where is my parcel?", "label": "delivery"}\n'),
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
"""Of POST /datasets."""

INFER: dict[str, Any] = {
    "required": True,
    "description": "JSON, or JSON followed by tensors as bytes; then `Inference-Header-Content-Length` says how "
    "long the JSON is.",
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}, "examples": examples.INFER},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
"""Of POST /v2/models/{name}/infer."""

BATCH: dict[str, Any] = {
    "required": True,
    "description": "JSON that names a dataset, or a form with a file: "
    "`curl -F file=@texts.csv -F model=NAME URL/batch-predictions`.",
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}, "examples": examples.BATCH},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "model"],
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "CSV, TSV, JSON, JSON Lines or Parquet; only its column of texts is read.",
                    },
                    **{
                        name: {"type": "string", "description": f"As the field `{name}` of BatchUpload."}
                        for name in BatchUpload.model_fields
                    },
                },
            }
        },
    },
}
"""Of POST /batch-predictions."""
