"""What clients of other services look for in an error, beside what ours has: their own members of the same problem."""

import re
from typing import Any

from app.errors import AppError

_OPEN_INFERENCE, _EMBEDDINGS_INFERENCE = "/v2", "/tei/"
_HUGGING_FACE = re.compile(r"/models/[^/]+")
_KINDS = {401: "Unauthenticated", 424: "Backend", 429: "Overloaded", 500: "Backend", 503: "Unhealthy"}
"""Words of Text Embeddings Inference by status; all else is Validation."""


def members(error: AppError, method: str, path: str) -> dict[str, Any]:
    """Give the members that the dialect spoken at a path adds to a problem; none for our own paths."""
    words = error.detail if error.remedy is None else f"{error.detail} {error.remedy}"
    if path == _OPEN_INFERENCE or path.startswith(f"{_OPEN_INFERENCE}/"):
        return {"error": words}
    if path.startswith(_EMBEDDINGS_INFERENCE):
        return {"error": words, "error_type": _KINDS.get(error.status, "Validation")}
    if method == "POST" and _HUGGING_FACE.fullmatch(path):
        return {"error": words}
    return {}
