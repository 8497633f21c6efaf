"""The request of a job over HTTP, as short as it can be told: what makes the same job again."""

from typing import Any

from fastapi import APIRouter

from app.api.body import StrictRoute
from app.api.deps import JobId, ServicesDep
from app.api.jobs import find
from app.api.problems import documented
from app.errors import NotFound
from app.schemas.jobs import TrainJobRequest

router = APIRouter(tags=["Jobs"], route_class=StrictRoute)

_WHOLE = frozenset({"family"})
"""Told in full or not at all: which family it is decides what its other fields may be."""


@router.get(
    "/jobs/{job_id}/request",
    summary="Read the request of a job",
    response_description="A body for `POST /jobs`.",
    responses=documented(NotFound),
)
def get_job_request(job_id: JobId, services: ServicesDep) -> dict[str, Any]:
    """Give what was asked for, without what is so by default: send it to `POST /jobs` to run the same again.

    What a profile gave stands in it beside the name of the profile. What was `auto` is `auto` again.
    """
    with services.database.transaction(read_only=True) as session:
        asked = TrainJobRequest.model_validate(find(session, job_id).request)
    return shortened(asked)


def shortened(request: TrainJobRequest) -> dict[str, Any]:
    """Leave out the fields of a request that have their default."""
    told = request.model_dump(mode="json")
    bare = TrainJobRequest(model=request.model, dataset_id=request.dataset_id).model_dump(mode="json")
    needed = {"model": request.model, "dataset_id": request.dataset_id}
    return needed | {name: _part(name, value, bare[name]) for name, value in told.items() if value != bare[name]}


def _part(name: str, value: Any, default: Any) -> Any:
    if name in _WHOLE or not isinstance(value, dict) or not isinstance(default, dict):
        return value
    return {field: inner for field, inner in value.items() if field not in default or inner != default[field]}
