"""How versions do on real calls, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.api.live_report import live_report
from app.api.models import Name, Number, find_version
from app.api.problems import documented
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Unprocessable
from app.schemas.live import Live
from app.store import live

router = APIRouter(tags=["Models"], route_class=StrictRoute)

Hours = Annotated[int, Query(ge=1, le=720, description="How long each window is, in hours.")]
Windows = Annotated[int, Query(ge=1, le=100, description="How many windows, the last of which ends with this hour.")]


@router.get(
    "/models/{name}/versions/{version}/live",
    summary="How does a version do on real calls?",
    response_description="Accuracy by feedback, and drift by window of time.",
    responses=documented(NotFound, Unprocessable),
)
def get_live(name: Name, version: Number, services: ServicesDep, hours: Hours = 24, windows: Windows = 7) -> Live:
    """Put the accuracy by feedback beside that on the test rows, and what is asked now beside what it was judged on.

    Feedback is that to logged answers which are still kept. Drift is counted where the traffic of an alias says
    `drift`; all processes add to it every two seconds.
    """
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    starts = [end - timedelta(hours=hours * (windows - index)) for index in range(windows)]
    with services.database.transaction(read_only=True) as session:
        manifest = stored_manifest(find_version(session, name, version))
        counted = live.between(session, name, version, starts[0], end)
        judged = live.judged(session, name, version)
    return live_report(version, manifest, judged, counted, [*starts, end])
