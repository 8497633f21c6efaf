"""Says no to predictions before anything of them is read, when more waits already than can be done in time."""

import asyncio
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.body import Handler
from app.errors import Overloaded
from app.serving.batcher import OVERLOADED
from app.settings import Settings
from app.telemetry import PREDICT_REFUSALS_HELD, PREDICT_REQUESTS

_ENDINGS = ("/predict", "/infer")


class Admission:
    """Pure ASGI: refuses in microseconds, and leads the commonest call past the framework's search for its route.

    A refusal is held back for a moment. Clients that ask again at once would otherwise take the time that the accepted
    ones need. Only so many are held; the others go out at once.
    """

    def __init__(self, app: ASGIApp, settings: Settings, direct: Mapping[str, tuple[object, Handler]]) -> None:
        self.app = app
        self._hold_seconds = settings.serve_refusal_hold_ms / 1000
        self._most_held = settings.serve_refusals_held
        self._held = 0
        self._direct = direct
        """Routes and their handlers, by path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise Overloaded ``overloaded``."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            self._admit(scope)
            await self._serve(scope, receive, send)
        except Overloaded as error:
            if error.code == OVERLOADED:
                await self._hold()
            raise

    def _admit(self, scope: Scope) -> None:
        """Refuse what a prediction is asked of, in any dialect; what is not known here is refused when it was read."""
        if not scope["path"].endswith(_ENDINGS):
            return
        app: FastAPI = scope["app"]
        try:
            app.state.services.predictions.batcher.permit()
        except Overloaded as error:
            PREDICT_REQUESTS.labels("", "", error.code).inc()
            raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._direct.get(scope["path"])
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["route"], handle = found
        answer = await handle(Request(scope, receive, send))
        await answer(scope, receive, send)

    async def _hold(self) -> None:
        if self._held >= self._most_held:
            return
        self._held += 1
        PREDICT_REFUSALS_HELD.inc()
        try:
            await asyncio.sleep(self._hold_seconds)
        finally:
            self._held -= 1
            PREDICT_REFUSALS_HELD.dec()
