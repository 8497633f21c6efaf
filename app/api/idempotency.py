"""Makes a POST safe to repeat: the first answer is kept with its key and given again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from app.errors import Conflict, Unprocessable
from app.store import idempotency
from app.store.engine import Database


@dataclass(frozen=True)
class Answer:
    """Status, headers and JSON body of an answer."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        """Make it an HTTP answer."""
        return JSONResponse(self.body, self.status, dict(self.headers))


@dataclass(frozen=True)
class Once:
    """One operation that runs at most once for a key; without a key it just runs."""

    database: Database
    key: str | None
    operation: str
    """Method and path: the same key on another path is another key."""
    body_sha256: str

    def earlier(self) -> Answer | None:
        """Give the answer that an equal request has got; raises Unprocessable ``idempotency-key-reused``."""
        if self.key is None:
            return None
        with self.database.transaction(read_only=True) as session:
            found = idempotency.find(session, self.key, self.operation)
        if found is None:
            return None
        if found.body_sha256 != self.body_sha256:
            raise Unprocessable(
                "This Idempotency-Key was used with another body.",
                code="idempotency-key-reused",
                remedy="Use a new key for a new request; repeat a request with its exact body.",
            )
        return Answer(found.status_code, found.body, dict(found.headers) | {"Idempotency-Replayed": "true"})

    def answer(self, work: Callable[[Session], Answer]) -> Answer:
        """Give the answer that an equal request has got, else that of ``work``."""
        return self.earlier() or self.perform(work)[0]

    def perform(self, work: Callable[[Session], Answer]) -> tuple[Answer, bool]:
        """Do ``work`` and keep its answer in one transaction; False: here is the answer of an equal, faster request."""
        try:
            return self.database.run(lambda session: self._work_and_keep(session, work)), True
        except Conflict as error:
            faster = self.earlier() if error.code == "idempotency-key-taken" else None
            if faster is None:
                raise
            return faster, False

    def _work_and_keep(self, session: Session, work: Callable[[Session], Answer]) -> Answer:
        answer = work(session)
        if self.key is not None:
            idempotency.save(
                session,
                self.key,
                self.operation,
                body_sha256=self.body_sha256,
                status_code=answer.status,
                headers=answer.headers,
                body=answer.body,
            )
        return answer
