"""The headers of a request, sorted once for all who ask for some of them: the framework searches them each time."""

from collections.abc import Mapping

from starlette.types import Scope


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Give the headers of a request by their names in lower case; of several with one name the first."""
    state = scope.setdefault("state", {})
    if "headers" not in state:
        state["headers"] = dict(reversed(list(scope["headers"])))
    found: Mapping[bytes, bytes] = state["headers"]
    return found
