"""What all parts of the client share: a transport, and how answers become resources."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from app.schemas.pages import Page
from app.transport import Transport

PAGE_SIZE = 100
LONG_POLL_SECONDS = 20.0
"""How long one request waits for an end, if nobody says."""

Answer = TypeVar("Answer", bound=BaseModel)


class Calls:
    """Sends requests through one transport; the nouns of the API are built on it."""

    _transport: Transport

    def _get(self, kind: type[Answer], path: str, **request: Any) -> Answer:
        return kind.model_validate_json(self._transport.send("GET", path, **request).content)

    def _post(self, kind: type[Answer], path: str, **body: Any) -> Answer:
        return kind.model_validate_json(self._transport.send("POST", path, **body).content)

    def _put(self, kind: type[Answer], path: str, **body: Any) -> Answer:
        return kind.model_validate_json(self._transport.send("PUT", path, **body).content)

    def _pages(
        self, kind: type[Answer], path: str, limit: int | None, filters: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        params = dict(filters or {}) | {"limit": str(min(limit or PAGE_SIZE, PAGE_SIZE))}
        given = 0
        while True:
            page = self._get(Page[kind], path, params=params)  # type: ignore[valid-type]
            for item in page.data:
                yield item
                given += 1
                if given == limit:
                    return
            if not page.has_more or page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor
