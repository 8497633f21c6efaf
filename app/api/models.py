"""The registry over HTTP: models, versions, and aliases that move without a race."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Cursor, Limit, ServicesDep
from app.api.model_resource import describe_alias, describe_models, describe_version, summarize_version
from app.api.problems import documented
from app.errors import NotFound, PreconditionFailed, Unprocessable, nearest
from app.schemas.base import AliasName
from app.schemas.models import Alias, AliasMove, Model, Version, VersionSummary
from app.schemas.pages import Page
from app.store import models, tables

router = APIRouter(tags=["Models"], route_class=StrictRoute)

Name = Annotated[str, Path(description="The name of the model.", examples=["customer-messages"])]
AliasOf = Annotated[str, Path(description="The alias.", examples=["champion"])]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=100,
        description="The ETag you have seen: the move happens only if nobody moved the alias since; else 412.",
        examples=['"7"'],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=100, description="`*`: only if the alias is not set yet.")
]


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
        return describe_models(session, [_find(session, name)])[0]


@router.get(
    "/models/{name}/versions",
    summary="List versions",
    response_description="Newest first.",
    responses=documented(NotFound),
)
def list_versions(name: Name, services: ServicesDep) -> Page[VersionSummary]:
    """List all versions of a model, newest first, with their scores side by side."""
    with services.database.transaction(read_only=True) as session:
        _find(session, name)
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
    version: Annotated[int, Path(ge=1, le=models.MAX_VERSION, description="The number of the version.", examples=[3])],
    services: ServicesDep,
) -> Version:
    """Give everything about a version: scores by label, data, hyperparameters, exports and their verification."""
    with services.database.transaction(read_only=True) as session:
        return describe_version(find_version(session, name, version), models.aliases(session, name))


@router.get(
    "/models/{name}/aliases", summary="List aliases", response_description="By name.", responses=documented(NotFound)
)
def list_aliases(name: Name, services: ServicesDep) -> Page[Alias]:
    """List the aliases of a model; `champion`, once set, is what the plain name means."""
    with services.database.transaction(read_only=True) as session:
        _find(session, name)
        return Page(data=[describe_alias(row) for row in models.aliases(session, name)], has_more=False)


@router.get(
    "/models/{name}/aliases/{alias}",
    summary="Look at an alias",
    response_description="The alias; `ETag` is its revision.",
    responses=documented(NotFound),
)
def get_alias(name: Name, alias: AliasOf, services: ServicesDep, response: Response) -> Alias:
    """Give an alias; its ETag is what `If-Match` wants."""
    with services.database.transaction(read_only=True) as session:
        _find(session, name)
        row = next((row for row in models.aliases(session, name) if row.alias == alias), None)
    if row is None:
        raise _alias_not_found(name)
    response.headers["ETag"] = _etag(row)
    return describe_alias(row)


@router.put(
    "/models/{name}/aliases/{alias}",
    summary="Move an alias",
    response_description="The alias as it is now; `ETag` is its new revision.",
    responses=documented(NotFound, PreconditionFailed, Unprocessable),
)
def put_alias(
    name: Name,
    alias: AliasName,
    move: Annotated[AliasMove, Body(openapi_examples=examples.ALIAS)],
    services: ServicesDep,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Alias:
    """Point an alias at a version; servers follow within a second, and no request fails meanwhile.

    With `If-Match` the move is a compare-and-set: of two that move at once, one gets 412.
    """
    expected = _expected(if_match, if_none_match)
    row = services.database.run(
        lambda session: models.set_alias(session, name, alias, move.version, _current(session, name, alias, expected))
    )
    response.headers["ETag"] = _etag(row)
    return describe_alias(row)


@router.delete(
    "/models/{name}/aliases/{alias}",
    status_code=204,
    summary="Remove an alias",
    response_description="It is gone.",
    responses=documented(NotFound, PreconditionFailed),
)
def delete_alias(name: Name, alias: AliasOf, services: ServicesDep, if_match: IfMatch = None) -> None:
    """Remove an alias; the version it named stays."""
    expected = _expected(if_match, None)
    removed = services.database.run(
        lambda session: models.delete_alias(session, name, alias, _current(session, name, alias, expected))
    )
    if not removed:
        raise _alias_not_found(name)


_ANY = -1
"""``If-Match: *``: the alias must exist, in whatever revision."""


def _expected(if_match: str | None, if_none_match: str | None) -> int | None:
    """Read the precondition: a revision, 0 for an alias that must not exist, or None for no condition."""
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise _bad_precondition("If-None-Match", "Only If-None-Match: * makes sense here.")
        return 0
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return _ANY
    revision = if_match.strip().removeprefix("W/").strip('"')
    if not revision.isdecimal() or len(revision) > 9:
        raise _bad_precondition("If-Match", "Send the ETag as it was answered.")
    return int(revision)


def _current(session: Session, name: str, alias: str, expected: int | None) -> int | None:
    if expected != _ANY:
        return expected
    row = next((row for row in models.aliases(session, name) if row.alias == alias), None)
    return -1 if row is None else row.revision


def _bad_precondition(header: str, remedy: str) -> PreconditionFailed:
    return PreconditionFailed(f"{header} is not an ETag of this alias.", code="invalid-precondition", remedy=remedy)


def _etag(row: tables.ModelAlias) -> str:
    return f'"{row.revision}"'


def find_version(session: Session, name: str, version: int) -> tables.ModelVersion:
    """Give the row of a version; raises NotFound ``model-not-found`` or ``version-not-found``."""
    _find(session, name)
    row = models.get_version(session, name, version)
    if row is None:
        raise NotFound(
            f"{name} has no version {version}.",
            code="version-not-found",
            remedy=f"List them with GET /models/{name}/versions.",
        )
    return row


def _find(session: Session, name: str) -> tables.Model:
    row = models.get_model(session, name)
    if row is None:
        near = nearest(name[:100], models.registry_snapshot(session))
        raise NotFound(
            "There is no model of this name.",
            code="model-not-found",
            remedy=f"Did you mean {near}?" if near else "List them with GET /models.",
        )
    return row


def _alias_not_found(name: str) -> NotFound:
    return NotFound(
        f"{name} has no such alias.", code="alias-not-found", remedy=f"List them with GET /models/{name}/aliases."
    )
