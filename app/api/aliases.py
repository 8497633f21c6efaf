"""Aliases over HTTP: they move without a race, by a policy where there is one, and every move is written down."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import CallerDep, Cursor, KeyDep, Limit, Services, ServicesDep
from app.api.idempotency import Answer, Once
from app.api.model_resource import describe_alias, describe_move, describe_policy
from app.api.models import Name
from app.api.preconditions import IfMatch, IfNoneMatch, etag, expected_revision
from app.api.problems import documented
from app.errors import Conflict, NotFound, PreconditionFailed, Unavailable, Unprocessable
from app.preflight.jobs import fingerprint
from app.promotion.moving import Mover, roll_back
from app.schemas.base import AliasName
from app.schemas.models import Alias, AliasMove
from app.schemas.pages import Page
from app.schemas.promotions import AliasCheck, AliasMoved, AliasPolicy, Promotion, PromotionPolicy, RolledBack
from app.store import models, promotions, tables
from app.store.promotions import Note

router = APIRouter(tags=["Models"], route_class=StrictRoute)

AliasOf = Annotated[str, Path(description="The alias.", examples=["champion"])]


@router.get(
    "/models/{name}/aliases", summary="List aliases", response_description="By name.", responses=documented(NotFound)
)
def list_aliases(name: Name, services: ServicesDep) -> Page[Alias]:
    """List the aliases of a model; `champion`, once set, is what the plain name means."""
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
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
        models.known(session, name)
        row = models.get_alias(session, name, alias)
    if row is None:
        raise alias_not_found(name)
    response.headers["ETag"] = etag(row.revision)
    return describe_alias(row)


@router.put(
    "/models/{name}/aliases/{alias}",
    summary="Move an alias",
    response_description="The alias as it is now; `ETag` is its new revision.",
    responses=documented(NotFound, Conflict, PreconditionFailed, Unprocessable, Unavailable),
)
def put_alias(
    name: Name,
    alias: AliasName,
    move: Annotated[AliasMove, Body(openapi_examples=examples.ALIAS)],
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Alias:
    """Point an alias at a version; servers follow within two seconds, and no request fails meanwhile.

    If the alias has a policy, it is checked first: 409 `promotion-blocked` has every check with its numbers. `force`
    with a `reason` moves all the same, and the history tells so. With `If-Match` the move is a compare-and-set: of two
    that move at once, one gets 412.
    """
    expected = expected_revision(if_match, if_none_match)
    row = _mover(services).move(name, alias, move, expected_revision=expected, actor=caller.name)
    services.registry_changed()
    response.headers["ETag"] = etag(row.revision)
    return describe_alias(row)


@router.delete(
    "/models/{name}/aliases/{alias}",
    status_code=204,
    summary="Remove an alias",
    response_description="It is gone.",
    responses=documented(NotFound, PreconditionFailed),
)
def delete_alias(
    name: Name, alias: AliasOf, services: ServicesDep, caller: CallerDep, if_match: IfMatch = None
) -> None:
    """Remove an alias; the version it named stays."""
    expected = expected_revision(if_match, None)
    note = Note(actor=caller.name, kind="remove")
    removed = services.database.run(lambda session: models.delete_alias(session, name, alias, expected, note))
    if not removed:
        raise alias_not_found(name)
    services.registry_changed()


Reason = Annotated[
    str | None, Query(min_length=1, max_length=500, description="Why, for the history.", examples=["too many refunds"])
]


@router.get(
    "/models/{name}/aliases/{alias}/policy",
    summary="Look at the policy of an alias",
    response_description="The policy.",
    responses=documented(NotFound),
)
def get_policy(name: Name, alias: AliasOf, services: ServicesDep) -> AliasPolicy:
    """Give what a version must keep before the alias may name it."""
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        row = promotions.policy(session, name, alias)
    if row is None:
        raise _no_policy(name, alias)
    return describe_policy(row)


@router.put(
    "/models/{name}/aliases/{alias}/policy",
    summary="Set the policy of an alias",
    response_description="The policy as it is now.",
    responses=documented(NotFound, Unprocessable),
)
def put_policy(
    name: Name,
    alias: AliasName,
    policy: Annotated[PromotionPolicy, Body(openapi_examples=examples.POLICY)],
    services: ServicesDep,
    caller: CallerDep,
) -> AliasPolicy:
    """Say what a version must keep before the alias may name it; the alias need not be set yet.

    It replaces the policy that there was, counts from the next move on, and moves nothing itself.
    """

    def put(session: Session) -> tables.AliasPolicy:
        models.known(session, name)
        model = models.locked(session, name)
        return promotions.put_policy(session, model, alias, policy.model_dump(mode="json"), caller.name)

    return describe_policy(services.database.run(put))


@router.delete(
    "/models/{name}/aliases/{alias}/policy",
    status_code=204,
    summary="Remove the policy of an alias",
    response_description="It is gone.",
    responses=documented(NotFound),
)
def delete_policy(name: Name, alias: AliasOf, services: ServicesDep) -> None:
    """Let the alias name any version again."""

    def remove(session: Session) -> bool:
        models.known(session, name)
        return promotions.delete_policy(session, models.locked(session, name), alias)

    if not services.database.run(remove):
        raise _no_policy(name, alias)


@router.post(
    "/models/{name}/aliases/{alias}/check",
    summary="Ask whether an alias may be moved",
    response_description="Every check with its numbers.",
    responses=documented(NotFound, Unprocessable, Unavailable),
)
def check_alias(
    name: Name,
    alias: AliasName,
    wanted: Annotated[AliasCheck, Body(openapi_examples=examples.CHECK)],
    services: ServicesDep,
) -> Promotion:
    """Say what the policy of an alias finds of a version, and move nothing."""
    return _mover(services).check(name, alias, wanted.version)


@router.post(
    "/models/{name}/aliases/{alias}/rollback",
    summary="Roll an alias back",
    response_model=RolledBack,
    response_description="The alias as it is now; `ETag` is its new revision.",
    responses=documented(NotFound, Conflict, PreconditionFailed),
)
def roll_back_alias(
    name: Name,
    alias: AliasOf,
    services: ServicesDep,
    caller: CallerDep,
    key: KeyDep,
    if_match: IfMatch = None,
    reason: Reason = None,
) -> Response:
    """Point an alias at the version that it named before, without any check; a second call goes back one more.

    With `If-Match` only if nobody moved it since, so that two who roll back at once go back once.
    """
    expected = expected_revision(if_match, None)
    once = Once(
        services.database, key, f"POST /models/{name}/aliases/{alias}/rollback", fingerprint([if_match, reason])
    )

    def work(session: Session) -> Answer:
        models.known(session, name)
        row, before = roll_back(session, name, alias, expected_revision=expected, actor=caller.name, reason=reason)
        body = RolledBack(**describe_alias(row).model_dump(), rolled_back_from=before)
        return Answer(200, body.model_dump(mode="json"), {"ETag": etag(row.revision)})

    answer = once.answer(work)
    services.registry_changed()
    return answer.response()


@router.get(
    "/models/{name}/aliases/{alias}/history",
    summary="Read the history of an alias",
    response_description="Newest first.",
    responses=documented(NotFound, Unprocessable),
)
def get_alias_history(
    name: Name, alias: AliasOf, services: ServicesDep, limit: Limit = 20, cursor: Cursor = None
) -> Page[AliasMoved]:
    """List the moves of an alias: who, when, from where to where, why, and what was checked. Nothing is ever removed.

    An alias that was never set has none. Moves from before this was recorded are not in it.
    """
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        rows, following = promotions.history(session, name, alias, limit, cursor)
    return Page(data=[describe_move(row) for row in rows], has_more=following is not None, next_cursor=following)


def _mover(services: Services) -> Mover:
    return Mover(services.database, services.artifacts)


def _no_policy(name: str, alias: str) -> NotFound:
    return NotFound(
        f"The alias {alias[:40]} of {name} has no policy.",
        code="policy-not-found",
        remedy="Set one with PUT /models/{name}/aliases/{alias}/policy.",
    )


def alias_not_found(name: str) -> NotFound:
    """Make the error for an alias that is not set."""
    return NotFound(
        f"{name} has no such alias.", code="alias-not-found", remedy=f"List them with GET /models/{name}/aliases."
    )
