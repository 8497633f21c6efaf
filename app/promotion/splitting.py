"""Splits the calls of aliases: only between versions that could answer them, and written down."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.artifacts.store import ArtifactStore
from app.artifacts.stored import stored_manifest
from app.errors import Conflict, NotFound, PreconditionFailed
from app.promotion import checks
from app.promotion.answers import Kept
from app.schemas.promotions import Check, PromotionPolicy
from app.schemas.traffic import TrafficWish
from app.store import models, promotions, tables, traffic
from app.store.promotions import Note


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants of the calls of an alias."""

    name: str
    alias: str
    expected_revision: int | None
    actor: str


def split(
    session: Session, order: Order, wish: TrafficWish, artifacts: ArtifactStore
) -> tuple[tables.AliasTraffic, tables.ModelAlias]:
    """Split the calls of an alias as wished; give the traffic and the alias.

    Raises NotFound, PreconditionFailed ``traffic-changed``, Conflict ``version-serves-already`` or ``canary-blocked``.
    """
    model = models.locked(session, order.name)
    alias = _alias(session, order)
    _expect(traffic.get(session, order.name, order.alias), order.expected_revision)
    found: list[Check] = []
    if wish.canary is not None:
        found = _checks(session, order, _other(session, alias, wish.canary.version), artifacts)
    if wish.shadow is not None:
        _other(session, alias, wish.shadow.version)
    allowed = all(check.passed for check in found)
    if not allowed and not wish.force:
        raise _blocked(order, found)
    note = Note(
        actor=order.actor,
        kind="traffic",
        forced=not allowed,
        reason=wish.reason,
        checks=[check.model_dump(mode="json") for check in found],
    )
    return traffic.put(session, model, alias, wish.traffic, note), alias


def unsplit(session: Session, order: Order, reason: str | None) -> bool:
    """Let the version that an alias names answer all its calls again; False when it did already.

    Raises NotFound, PreconditionFailed ``traffic-changed``.
    """
    model = models.locked(session, order.name)
    alias = _alias(session, order)
    _expect(traffic.get(session, order.name, order.alias), order.expected_revision)
    return traffic.clear(session, model, alias, Note(actor=order.actor, kind="traffic", reason=reason))


def _alias(session: Session, order: Order) -> tables.ModelAlias:
    row = models.get_alias(session, order.name, order.alias)
    if row is None:
        raise NotFound(
            f"{order.name} has no such alias.",
            "alias-not-found",
            "Set it with PUT /models/{name}/aliases/{alias}; then its calls can be split.",
        )
    return row


def _expect(row: tables.AliasTraffic | None, expected_revision: int | None) -> None:
    revision = 0 if row is None else row.revision
    met = row is not None if expected_revision == models.ANY_REVISION else expected_revision in (None, revision)
    if not met:
        raise PreconditionFailed(
            "The traffic of this alias was changed meanwhile, or the alias was moved.",
            "traffic-changed",
            "Read it again, then decide.",
        )


def _other(session: Session, alias: tables.ModelAlias, version: int) -> tables.ModelVersion:
    """Give a version that is to stand beside the one that the alias names."""
    row = models.known_version(session, alias.model_name, version)
    if version == alias.version:
        raise Conflict(
            f"Version {version} is what {alias.model_name}@{alias.alias} names: it answers the calls already.",
            "version-serves-already",
            "Name another version, or DELETE the traffic of the alias.",
        )
    return row


def _checks(session: Session, order: Order, row: tables.ModelVersion, artifacts: ArtifactStore) -> list[Check]:
    """Check of the policy what callers must not be exposed to; how good a version is, the trial is to show."""
    kept = promotions.policy(session, order.name, order.alias)
    if kept is None:
        return []
    policy = PromotionPolicy.model_validate(kept.policy)
    needed = PromotionPolicy(export_verified=policy.export_verified, latency=policy.latency)
    candidate = Kept(row.version, row.artifact_prefix, stored_manifest(row))
    return checks.run(needed, candidate, None, artifacts)


def _blocked(order: Order, found: list[Check]) -> Conflict:
    failed = " ".join(check.detail for check in found if not check.passed)
    return Conflict(
        f"The version may not answer calls of {order.name}@{order.alias}, not even some: {failed}",
        "canary-blocked",
        "Try another version, change the policy of the alias, or send force with a reason.",
        extra={"checks": [check.model_dump(mode="json") for check in found]},
    )
