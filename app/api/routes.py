"""The table of contents of the HTTP API."""

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
    job_request,
    jobs,
    keys,
    live,
    models,
    predictions,
    reports,
    serving,
    traffic,
    workers,
)
from app.api.body import Handler
from app.api.facades import hugging_face, open_inference, tei

PARTS: tuple[APIRouter, ...] = (
    imports.router,  # before /datasets/{dataset_id}, which would take its paths
    datasets.router,
    jobs.router,
    job_request.router,
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
    workers.router,
    keys.router,
    batches.router,
    batch_results.router,
    open_inference.router,
    hugging_face.router,
    tei.router,
    health.router,
)


def include_all(app: FastAPI, *, with_docs: bool, with_dashboard: bool) -> None:
    """Add every route as it is; to include the routers would build each route anew, at the first request."""
    parts = PARTS + (docs.router,) * with_docs + (dashboard.router,) * with_dashboard
    for router in parts:
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.unique_id = route.name
            app.router.routes.append(route)


def methods_at(path: str) -> list[str]:
    """Name the methods that a path takes; the framework would name those of one route only."""
    routes = [route for router in PARTS for route in router.routes if isinstance(route, APIRoute)]
    return sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})


def direct() -> dict[str, tuple[APIRoute, Handler]]:
    """Give the routes that are reached without the framework's search, and their handlers, by path."""
    found = [route for route in predictions.direct.routes if isinstance(route, APIRoute)]
    return {route.path: (route, route.get_route_handler()) for route in found}
