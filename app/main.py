"""create_app(): the HTTP API of one process, and the parts it needs while it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app.api import openapi, problems, routes, uploads
from app.api.admission import Admission
from app.api.auth import Guard, require_key_off_loopback
from app.api.dataset_rows import RowReader
from app.api.deps import Services
from app.api.keyring import Keyring
from app.api.middleware import RequestContext, VersionPrefix
from app.api.scopes import Rulebook
from app.artifacts.store import store_of
from app.logging import configure, get_logger
from app.preflight.base_models import BaseModels
from app.preflight.inspection import Inspector
from app.preflight.jobs import JobPreflight
from app.preflight.messages import Limits
from app.preflight.shapes import Shapes
from app.preflight.stored_configs import StoredConfigs
from app.queue.enqueue import Doorbell
from app.queue.rescue import Reconciler
from app.queue.word import Word
from app.serving.pool import Pool
from app.serving.service import PredictionService
from app.settings import Settings, get_settings
from app.store.engine import Database

log = get_logger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; nothing is opened before it starts.

    Raises Forbidden ``api-key-required`` for an address that others can reach without a key.
    """
    settings = settings or get_settings()
    require_key_off_loopback(settings)
    keyring = Keyring(settings.api_key)
    app = FastAPI(
        title=openapi.TITLE,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # It would send what callers wrote, in messages of exceptions, to wherever OTEL_* variables point.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=partial(_lifespan, settings=settings, keyring=keyring),
    )
    app.state.settings = settings
    problems.install(app, routes.methods_at)
    routes.include_all(app, with_docs=settings.docs_enabled, with_dashboard=settings.dashboard_enabled)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    # The last one added is the outermost: it sees everything, the guard's refusals too.
    app.add_middleware(Admission, settings=settings, direct=routes.direct())
    app.add_middleware(Guard, settings=settings, keyring=keyring, rules=Rulebook(routes.PARTS))
    app.add_middleware(VersionPrefix)
    app.add_middleware(RequestContext)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, keyring: Keyring) -> AsyncIterator[None]:
    """Open the parts, give them to the endpoints, and close them in reverse; a broker is not needed to start."""
    configure(settings)
    database = Database(settings.resolved_database_url)
    artifacts = store_of(settings)
    doorbell = Doorbell(settings)
    reconciler = Reconciler(database, doorbell, settings)
    pool = Pool(database, artifacts, settings)
    predictions = PredictionService(pool, settings, database)
    word = Word(settings, pool.hurry)
    app.state.services = Services(
        settings=settings,
        database=database,
        artifacts=artifacts,
        doorbell=doorbell,
        preflight=JobPreflight(
            database, BaseModels(settings, database), Shapes(settings, StoredConfigs(database, artifacts))
        ),
        inspector=Inspector(_limits(settings)),
        rows=RowReader(artifacts, settings.data_dir / "cache" / "datasets"),
        predictions=predictions,
        pool=pool,
        keyring=keyring,
        word=word,
    )
    await asyncio.to_thread(keyring.open, database)
    following = asyncio.create_task(keyring.follow())
    await asyncio.to_thread(uploads.remove_stale, settings)
    reconciler.start()
    pool.start()
    word.start()
    log.info("The API is up", host=settings.host, port=settings.port)
    try:
        yield
    finally:
        await asyncio.to_thread(reconciler.stop)
        await word.close()
        following.cancel()
        await asyncio.to_thread(keyring.close)
        await asyncio.to_thread(predictions.close)
        await pool.close()
        await asyncio.to_thread(doorbell.close)
        database.close()
        log.info("The API is down")


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_rows=settings.max_dataset_rows, max_text_chars=settings.max_text_chars, max_labels=settings.max_labels
    )
