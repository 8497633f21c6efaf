"""The table of contents of the HTTP API: every router, at its plain path and under /v1."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.api import (
    aliases,
    archives,
    artifacts,
    batch_results,
    batches,
    dashboard,
    datasets,
    diffs,
    docs,
    evaluations,
    events,
    feedback,
    health,
    imports,
    jobs,
    live,
    models,
    predictions,
    reports,
    serving,
    traffic,
)
from app.api.body import Handler
from app.api.facades import hugging_face, open_inference, tei

VERSION_PREFIX = "/v1"

PARTS: tuple[APIRouter, ...] = (
    imports.router,  # before /datasets/{dataset_id}, which would take its paths
    datasets.router,
    jobs.router,
    events.router,
    reports.router,
    artifacts.router,
    models.router,
    aliases.router,
    traffic.router,
    diffs.router,
    live.router,
    archives.router,
    evaluations.router,
    predictions.direct,
    predictions.router,
    feedback.router,
    serving.router,
    batches.router,
    batch_results.router,
    open_inference.router,
    hugging_face.router,
    tei.router,
    health.router,
)


def include_all(app: FastAPI, *, with_docs: bool, with_dashboard: bool) -> None:
    """Add every route; /v1 is the same again for clients that want to pin a version, so the docs show it once."""
    for router in PARTS:
        app.include_router(router)
    for router in PARTS:
        app.include_router(router, prefix=VERSION_PREFIX, include_in_schema=False)
    if with_docs:
        app.include_router(docs.router)
    if with_dashboard:
        app.include_router(dashboard.router)


def methods_at(path: str) -> list[str]:
    """Name the methods that a path takes; the framework would name those of one route only."""
    plain = path.removeprefix(VERSION_PREFIX)
    routes = [route for router in PARTS for route in router.routes if isinstance(route, APIRoute)]
    return sorted({method for route in routes if route.path_regex.match(plain) for method in route.methods or ()})


def direct() -> dict[str, tuple[APIRoute, Handler]]:
    """Give the routes that are reached without the framework's search, and their handlers, by path."""
    found = [route for route in predictions.direct.routes if isinstance(route, APIRoute)]
    prefixes = ("", VERSION_PREFIX)
    return {prefix + route.path: (route, route.get_route_handler()) for route in found for prefix in prefixes}
