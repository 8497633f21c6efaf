"""Health, readiness and metrics: for load balancers, for Prometheus, and for people at three in the morning."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from starlette.responses import PlainTextResponse

from app import telemetry
from app.api.body import StrictRoute
from app.api.deps import Services, ServicesDep
from app.api.problems import documented
from app.errors import AppError, Unavailable
from app.queue import reach
from app.schemas.health import Alive, Check, Readiness
from app.settings import MIB
from app.store import jobs, workers
from app.store.revision import is_current

router = APIRouter(tags=["Service"], route_class=StrictRoute)


@router.get("/healthz", summary="Is the process alive?", response_description="It is.")
async def healthz() -> Alive:
    """Answer without asking anyone: a failure here means restart me."""
    return Alive()


@router.get(
    "/readyz", summary="Can requests be served?", response_description="They can.", responses=documented(Unavailable)
)
def readyz(services: ServicesDep) -> Readiness:
    """Check the database, its schema, the broker, the workers and the versions that are to be served.

    Without the broker or workers the service is `degraded` and still answers 200: jobs are accepted, predictions are
    served, and waiting jobs run once a worker is there. It is `degraded` too while a name means a version that cannot
    be loaded, so that an older one answers. Without the database it is down: 503; and at start, until the versions of
    the pinned aliases are loaded, for `TUNESMITH_SERVE_PRELOAD_SECONDS` at most.
    """
    checks = {
        "database": _checked(lambda: _database(services)),
        "migrations": _checked(lambda: _migrations(services)),
        "broker": _checked(lambda: _broker(services)),
        "workers": _checked(lambda: _workers(services)),
        "models": _models(services),
    }
    down = [name for name, check in checks.items() if check.status == "down"]
    if down:
        raise Unavailable(
            f"Not ready: {', '.join(down)}.",
            code="not-ready",
            remedy=checks[down[0]].detail,
            extra={"checks": {name: check.model_dump() for name, check in checks.items()}},
        )
    is_degraded = any(check.status == "degraded" for check in checks.values())
    return Readiness(status="degraded" if is_degraded else "ready", checks=checks)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_description="Metrics in the text format of Prometheus.",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": 'tunesmith_jobs{status="queued"} 2.0\n'}}}},
)
def prometheus_metrics(services: ServicesDep) -> Response:
    """Give every metric of this process, and the jobs and workers as the database knows them."""
    telemetry.MODEL_BYTES.clear()  # what was let go is no series any more
    for held in services.pool.loaded():
        telemetry.MODEL_BYTES.labels(held.model, held.version, held.format).set(held.bytes)
    try:
        _read_gauges(services)
    except AppError:  # without the database the process's own metrics are all the more wanted
        telemetry.WORKERS_ALIVE.set(float("nan"))
    return Response(telemetry.exposition(), headers={"Content-Type": telemetry.CONTENT_TYPE})


def _read_gauges(services: Services) -> None:
    with services.database.transaction(read_only=True) as session:
        counts = jobs.counts(session)
        crew = len(workers.alive(session, services.silence_seconds))
    for status in ("queued", "running", "succeeded", "failed", "cancelled"):
        telemetry.JOBS.labels(status=status).set(counts.get(status, 0))
    telemetry.WORKERS_ALIVE.set(crew)


def _checked(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except AppError as error:
        return Check(status="down", detail=error.detail)


def _database(services: Services) -> Check:
    with services.database.transaction(read_only=True) as session:
        jobs.get(session, "job_")
    return Check(status="ok", detail="The database answers.")


def _migrations(services: Services) -> Check:
    if is_current(services.settings.resolved_database_url):
        return Check(status="ok", detail="The schema is current.")
    return Check(status="down", detail="The schema is not current: run python -m app migrate.")


def _broker(services: Services) -> Check:
    if reach.answers(services.settings):
        return Check(status="ok", detail="The broker answers.")
    late = f"{services.settings.poll_seconds:.0f} s"
    return Check(status="degraded", detail=f"The broker does not answer; workers find new jobs within {late} anyway.")


def _workers(services: Services) -> Check:
    with services.database.transaction(read_only=True) as session:
        crew = workers.alive(session, services.silence_seconds)
    if not crew:
        return Check(status="degraded", detail="No worker is connected: jobs wait. Start one with python -m worker.")
    devices = sorted({worker.device or "unknown device" for worker in crew})
    return Check(status="ok", detail=f"{len(crew)} connected: {', '.join(devices)}.")


def _models(services: Services) -> Check:
    standing = services.pool.standing()
    if standing.is_preloading:
        return Check(status="down", detail="The versions of pinned aliases are being loaded.")
    if standing.behind:
        return Check(status="degraded", detail="; ".join(standing.behind) + ".")
    return Check(
        status="ok",
        detail=f"{standing.versions} loaded, {standing.bytes // MIB} of at most {standing.limit // MIB} MB.",
    )
