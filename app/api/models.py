"""The registry over HTTP: models and their versions."""

from typing import Annotated

from fastapi import APIRouter, Body, Path
from sqlalchemy.orm import Session

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Cursor, Limit, ServicesDep
from app.api.model_resource import describe_models, describe_version, summarize_version
from app.api.problems import documented
from app.errors import Conflict, NotFound, Unprocessable
from app.schemas.models import Model, Version, VersionSummary
from app.schemas.pages import Page
from app.schemas.retention import DeletedVersion, KeptVersion, PruneRequest, PruneResult
from app.store import models, retention, tables

router = APIRouter(tags=["Models"], route_class=StrictRoute)

Name = Annotated[str, Path(description="The name of the model.", examples=["customer-messages"])]
Number = Annotated[int, Path(ge=1, le=models.MAX_VERSION, description="The number of the version.", examples=[3])]


@router.get("/models", summary="List models", response_description="By name.", responses=documented(Unprocessable))
def list_models(services: ServicesDep, limit: Limit = 20, cursor: Cursor = None) -> Page[Model]:
    """List the models that have at least one version, by name."""
    with services.database.transaction(read_only=True) as session:
        rows, following = models.page_models(session, limit, cursor)
        data = describe_models(session, rows)
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    "/models/{name}", summary="Look at a model", response_description="The model.", responses=documented(NotFound)
)
def get_model(name: Name, services: ServicesDep) -> Model:
    """Give a model, the version that its plain name means, and its aliases."""
    with services.database.transaction(read_only=True) as session:
        described = describe_models(session, [models.known(session, name)])
    if not described:
        raise NotFound(
            f"All versions of {name} were deleted.",
            code="model-not-found",
            remedy="Train a new one with POST /jobs; it gets the next number.",
        )
    return described[0]


@router.get(
    "/models/{name}/versions",
    summary="List versions",
    response_description="Newest first.",
    responses=documented(NotFound),
)
def list_versions(name: Name, services: ServicesDep) -> Page[VersionSummary]:
    """List all versions of a model, newest first, with their scores side by side."""
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        aliases = models.aliases(session, name)
        data = [summarize_version(row, aliases) for row in models.versions(session, name)]
    return Page(data=data, has_more=False)


@router.get(
    "/models/{name}/versions/{version}",
    summary="Look at a version",
    response_description="The version.",
    responses=documented(NotFound),
)
def get_version(
    name: Name,
    version: Number,
    services: ServicesDep,
) -> Version:
    """Give everything about a version: scores by label, data, hyperparameters, exports and their verification."""
    with services.database.transaction(read_only=True) as session:
        return describe_version(find_version(session, name, version), models.aliases(session, name))


@router.delete(
    "/models/{name}/versions/{version}",
    status_code=204,
    summary="Delete a version",
    response_description="It is gone.",
    responses=documented(NotFound, Conflict),
)
def delete_version(name: Name, version: Number, services: ServicesDep) -> None:
    """Delete a version that nothing needs; its number never comes back.

    409 `in-use` tells what needs it: an alias that names it, or a job that has not ended and starts from it or learns
    from it. From then on it is not found; calls in flight are answered, and its files go an hour later.
    """

    def delete(session: Session) -> None:
        models.known(session, name)
        retention.delete_version(session, name, version)

    services.database.run(delete)
    services.registry_changed()


@router.post(
    "/models/{name}/prune",
    summary="Keep the newest versions",
    response_description="What was deleted, or would be, and what was kept for a reason.",
    responses=documented(NotFound, Unprocessable),
)
def prune_model(
    name: Name, request: Annotated[PruneRequest, Body(openapi_examples=examples.PRUNE)], services: ServicesDep
) -> PruneResult:
    """Delete all but the newest versions of a model.

    Kept besides: whatever an alias names or would roll back to, and what a job that has not ended starts from.
    """

    def prune(session: Session) -> retention.Pruned:
        models.known(session, name)
        return retention.prune(session, name, request.keep_last, dry_run=request.dry_run)

    found = services.database.run(prune)
    if found.deleted and not request.dry_run:
        services.registry_changed()
    return PruneResult(
        dry_run=request.dry_run,
        deleted=[DeletedVersion(version=number, bytes=size) for number, size in found.deleted],
        kept=[KeptVersion(version=number, reason=reason) for number, reason in found.kept.items()],
        bytes=sum(size for _, size in found.deleted),
    )


def find_version(session: Session, name: str, version: int) -> tables.ModelVersion:
    """Give the row of a version; raises NotFound ``model-not-found`` or ``version-not-found``."""
    models.known(session, name)
    return models.known_version(session, name, version)
