"""API keys over HTTP: made once, listed without their secret, taken back; and who the caller is."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from sqlalchemy.orm import Session

from app import bearer
from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import CallerDep, Cursor, Limit, Services, ServicesDep
from app.api.problems import documented
from app.errors import AppError, Conflict, NotFound
from app.ids import is_id
from app.logging import get_logger
from app.schemas.keys import SCOPES, ApiKey, CurrentKey, KeyRequest, KeyStatus, NewApiKey
from app.schemas.pages import Page
from app.store import keys, tables

router = APIRouter(tags=["Keys"], route_class=StrictRoute)
log = get_logger(__name__)

KeyId = Annotated[str, Path(description="The `id` of the key.", examples=["key_019302f4d1b37a4fb2c6e8d0f1a3b5c7"])]


@router.post(
    "/keys",
    status_code=201,
    summary="Make an API key",
    response_description="The key. It is in this answer and nowhere else.",
    responses=documented(Conflict),
)
def create_key(
    request: Annotated[KeyRequest, Body(openapi_examples=examples.KEY)], services: ServicesDep, caller: CallerDep
) -> NewApiKey:
    """Make a key with a name and scopes; of the key itself only a hash is kept.

    This answer is not kept for an `Idempotency-Key`: a repeated request is told 409 `key-name-taken`. On a service that
    asked for no key so far, the first one closes it: it must be an `admin` without an end, else 409
    `first-key-not-admin`.
    """
    key = bearer.new_key()

    def make(session: Session) -> tables.ApiKey:
        row = keys.insert(session, request, key, caller.name)
        if not (services.keyring.has_operator_key or any(map(keys.is_lasting_admin, keys.unrevoked(session)))):
            raise _not_admin()
        return row

    row = services.database.run(make)
    log.info("A key was made", name=row.name, scopes=row.scopes, by=caller.name)
    _follow(services)
    return NewApiKey(**describe(row).model_dump(), key=key)


@router.get("/keys", summary="List API keys", response_description="Newest first.")
def list_keys(
    services: ServicesDep,
    limit: Limit = 20,
    cursor: Cursor = None,
    revoked: Annotated[bool, Query(description="`true`: those that were taken back, too.")] = False,
) -> Page[ApiKey]:
    """List the keys, newest first: what each may do, who made it, when it was used last; never the key itself."""
    with services.database.transaction(read_only=True) as session:
        rows, following = keys.page(session, limit, cursor, with_revoked=revoked)
    return Page(data=[describe(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.get("/keys/current", summary="Ask who one is", response_description="Who the caller is, and what they may do.")
async def get_current_key(caller: CallerDep) -> CurrentKey:
    """Tell the name and the scopes of the key that the request carries."""
    return CurrentKey(
        name=caller.name, scopes=[scope for scope in SCOPES if scope in caller.scopes], expires_at=caller.expires_at
    )


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    summary="Revoke an API key",
    response_description="It is refused from now on.",
    responses=documented(NotFound, Conflict),
)
def revoke_key(
    key_id: KeyId,
    services: ServicesDep,
    caller: CallerDep,
    force: Annotated[bool, Query(description="`true`: although it is the last that can administer.")] = False,
) -> None:
    """Take a key back; a second time changes nothing.

    This process refuses it at once, others within a few seconds; an answer or a stream that has begun goes on. Where
    `TUNESMITH_API_KEY` is not set, the last `admin` without an end is only revoked with `force`: 409 `last-admin-key`
    says what would follow.
    """

    def take_back(session: Session) -> tables.ApiKey:
        standing = keys.unrevoked(session)
        row = keys.get(session, key_id) if is_id(key_id, "key") else None
        if row is None:
            raise NotFound("The key does not exist.", code="key-not-found", remedy="List them with GET /keys.")
        others = [other for other in standing if other.id != row.id]
        is_last = keys.is_lasting_admin(row) and not any(map(keys.is_lasting_admin, others))
        if is_last and not (services.keyring.has_operator_key or force):
            raise _last_admin(row.name, len(others))
        keys.revoke(session, row)
        return row

    row = services.database.run(take_back)
    log.info("A key was revoked", name=row.name, by=caller.name)
    _follow(services)


def describe(row: tables.ApiKey) -> ApiKey:
    """Give a key as clients see it."""
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=row.scopes,
        status=_status(row),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _status(row: tables.ApiKey) -> KeyStatus:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= datetime.now(UTC) else "active"


def _follow(services: Services) -> None:
    """Let this process know at once; where it cannot be read now, the keyring tries again."""
    try:
        services.keyring.refresh()
    except AppError as error:
        log.warning("The keys could not be read", code=error.code)


def _not_admin() -> Conflict:
    return Conflict(
        "This key would close the service to everyone, and nobody could make or revoke keys any more.",
        code="first-key-not-admin",
        remedy="Make a key with the scope admin and without expires_in_days first, or set TUNESMITH_API_KEY.",
    )


def _last_admin(name: str, others: int) -> Conflict:
    follows = (
        "the other keys stay, but nobody can make or revoke keys until the service is restarted with TUNESMITH_API_KEY"
        if others
        else "the service is open again to everyone on this machine"
    )
    return Conflict(
        f"{name} is the last key that can administer for good. Without it {follows}.",
        code="last-admin-key",
        remedy="Make another admin without expires_in_days first, or add force=true if that is what you want.",
    )
