"""The headers of a request, sorted once for all who ask for some of them: the framework searches them each time."""

from collections.abc import Mapping

from starlette.types import Scope

RequestHeaders = Mapping[bytes, bytes]
"""By their names in lower case."""


def headers_of(scope: Scope) -> RequestHeaders:
    """Give the headers of a request; of several with one name the first."""
    state = scope.setdefault("state", {})
    if "headers" not in state:
        state["headers"] = dict(reversed(list(scope["headers"])))
    found: RequestHeaders = state["headers"]
    return found
