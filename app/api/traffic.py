"""How the calls of aliases are split, over HTTP: set and ended without a race, and every change written down."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.aliases import AliasOf, Reason, alias_not_found
from app.api.body import StrictRoute
from app.api.deps import CallerDep, KeyDep, ServicesDep
from app.api.idempotency import Answer, Once
from app.api.models import Name
from app.api.preconditions import IfMatch, IfNoneMatch, etag, expected_revision
from app.api.problems import documented
from app.api.traffic_report import traffic_report
from app.errors import Conflict, NotFound, PreconditionFailed, Unprocessable
from app.preflight.jobs import fingerprint
from app.promotion import splitting
from app.promotion.splitting import Order
from app.schemas.traffic import AliasTraffic, Traffic, TrafficReport, TrafficWish
from app.store import models, shadows, tables, traffic

router = APIRouter(tags=["Models"], route_class=StrictRoute)


@router.get(
    "/models/{name}/aliases/{alias}/traffic",
    summary="Look at how the calls of an alias are split",
    response_description="The split; `ETag` is its revision.",
    responses=documented(NotFound),
)
def get_traffic(name: Name, alias: AliasOf, services: ServicesDep, response: Response) -> AliasTraffic:
    """Tell which version answers which part of the calls; 404 `traffic-not-found` where one answers all."""
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        row, holder = traffic.get(session, name, alias), models.get_alias(session, name, alias)
    if row is None or holder is None:
        raise _no_traffic(name, alias)
    response.headers["ETag"] = etag(row.revision)
    return _described(row, holder)


@router.put(
    "/models/{name}/aliases/{alias}/traffic",
    summary="Split the calls of an alias",
    response_model=AliasTraffic,
    response_description="The split as it is now; `ETag` is its revision.",
    responses=documented(NotFound, Conflict, PreconditionFailed, Unprocessable),
)
def put_traffic(
    name: Name,
    alias: AliasOf,
    wish: Annotated[TrafficWish, Body(openapi_examples=examples.TRAFFIC)],
    services: ServicesDep,
    caller: CallerDep,
    key: KeyDep,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Let a canary answer a part of an alias's calls, or a shadow be asked them again after the answer.

    Servers follow within seconds, and no request fails or waits for it.
    Callers with the same `routing_key` are answered by the same version. Of the policy of the alias, `export_verified`
    and `latency` must hold for a canary; floors and comparisons are what the canary is to be tried for. A move of the
    alias ends the canary.
    """
    order = Order(name, alias, expected_revision(if_match, if_none_match), caller.name)
    body = fingerprint([wish.model_dump(mode="json"), if_match, if_none_match])
    once = Once(services.database, key, f"PUT /models/{name}/aliases/{alias}/traffic", body)

    def work(session: Session) -> Answer:
        models.known(session, name)
        row, holder = splitting.split(session, order, wish, services.artifacts)
        return Answer(200, _described(row, holder).model_dump(mode="json"), {"ETag": etag(row.revision)})

    answer = once.answer(work)
    services.registry_changed()
    return answer.response()


@router.get(
    "/models/{name}/aliases/{alias}/traffic/report",
    summary="Compare versions on real calls",
    response_description="What the shadows of the alias would have said.",
    responses=documented(NotFound),
)
def get_traffic_report(name: Name, alias: AliasOf, services: ServicesDep) -> TrafficReport:
    """Tell how often a shadow agreed with the version that answered, where they differ, and what was not compared.

    All processes that serve add to it every two seconds. It stays when the comparison has ended, and begins anew when
    the version becomes a shadow of this alias again.
    """
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        if models.get_alias(session, name, alias) is None:
            raise alias_not_found(name)
        return traffic_report(alias, shadows.of_alias(session, name, alias))


@router.delete(
    "/models/{name}/aliases/{alias}/traffic",
    status_code=204,
    summary="End the split of an alias",
    response_description="The version that the alias names answers all calls.",
    responses=documented(NotFound, PreconditionFailed),
)
def delete_traffic(
    name: Name,
    alias: AliasOf,
    services: ServicesDep,
    caller: CallerDep,
    if_match: IfMatch = None,
    reason: Reason = None,
) -> None:
    """Let the version that the alias names answer all its calls again."""
    order = Order(name, alias, expected_revision(if_match, None), caller.name)

    def work(session: Session) -> bool:
        models.known(session, name)
        return splitting.unsplit(session, order, reason)

    if not services.database.run(work):
        raise _no_traffic(name, alias)
    services.registry_changed()


def _described(row: tables.AliasTraffic, holder: tables.ModelAlias) -> AliasTraffic:
    return AliasTraffic(
        alias=row.alias,
        version=holder.version,
        traffic=Traffic.model_validate(row.traffic),
        revision=row.revision,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def _no_traffic(name: str, alias: str) -> NotFound:
    return NotFound(
        f"The calls of {name}@{alias[:40]} are not split: the version that it names answers them all.",
        code="traffic-not-found",
        remedy="Split them with PUT /models/{name}/aliases/{alias}/traffic.",
    )
