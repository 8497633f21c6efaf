"""The headers of a request, sorted once for all who ask for some of them: the framework searches them each time."""

from collections.abc import Iterable

from starlette.types import Scope


class RequestHeaders:
    """Headers by their names in lower case."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = list(raw)
        self._first = dict(reversed(self._raw))

    def get(self, name: bytes) -> str | None:
        """Give the value of a header, the first one of several, None where it was not sent."""
        value = self._first.get(name)
        return None if value is None else value.decode("latin-1")

    def all(self, name: bytes) -> list[str]:
        """Give the values of all headers of that name."""
        return [value.decode("latin-1") for known, value in self._raw if known == name] if name in self._first else []


def headers_of(scope: Scope) -> RequestHeaders:
    """Give the headers of a request."""
    state = scope.setdefault("state", {})
    found: RequestHeaders | None = state.get("headers")
    if found is None:
        found = state["headers"] = RequestHeaders(scope["headers"])
    return found
