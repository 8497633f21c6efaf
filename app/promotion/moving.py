"""Moves aliases: checked by their policy, one at a time, and written down."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from app.artifacts.store import ArtifactStore
from app.artifacts.stored import stored_manifest
from app.errors import Conflict, NotFound
from app.promotion import checks
from app.promotion.answers import Kept
from app.schemas.models import AliasMove
from app.schemas.promotions import Promotion, PromotionPolicy
from app.store import models, promotions, tables
from app.store.engine import Database
from app.store.promotions import Note

TRIES = 5
"""How often a move is judged anew because the alias or its policy changed in the meantime."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a judgement is based on; a move counts only if none of it has changed since."""

    alias_revision: int
    policy_revision: int | None
    policy: PromotionPolicy | None
    candidate: Kept
    holder: Kept | None

    @property
    def is_move(self) -> bool:
        return self.holder is None or self.holder.number != self.candidate.number


@dataclass(frozen=True, slots=True)
class _Order:
    """What a client wants."""

    name: str
    alias: str
    move: AliasMove
    expected_revision: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class Mover:
    """Judges and moves aliases."""

    database: Database
    artifacts: ArtifactStore

    def check(self, name: str, alias: str, version: int) -> Promotion:
        """Say whether a version may take an alias, and move nothing. Raises NotFound, Unavailable."""
        with self.database.transaction(read_only=True) as session:
            state = _state(session, name, alias, version)
        return self._judged(state, alias)

    def move(
        self, name: str, alias: str, move: AliasMove, *, expected_revision: int | None, actor: str
    ) -> tables.ModelAlias:
        """Point an alias at a version if its policy allows it, or ``move`` forces it.

        Raises NotFound, PreconditionFailed ``alias-moved``, Conflict ``promotion-blocked``, Unavailable.
        """
        for _ in range(TRIES):
            with self.database.transaction(read_only=True) as session:
                state = _state(session, name, alias, move.version)
            verdict = self._judged(state, alias)
            order = _Order(name, alias, move, expected_revision, actor)
            row = self.database.run(partial(_carry_out, order=order, state=state, verdict=verdict))
            if row is not None:
                return row
        raise Conflict(
            f"The alias {alias} of {name} or its policy changed while the move was judged, {TRIES} times.",
            "alias-busy",
            "Try again.",
        )

    def _judged(self, state: _State, alias: str) -> Promotion:
        found = []
        if state.policy is not None and state.is_move:
            found = checks.run(state.policy, state.candidate, state.holder, self.artifacts)
        return Promotion(
            alias=alias,
            version=state.candidate.number,
            current=None if state.holder is None else state.holder.number,
            allowed=all(check.passed for check in found),
            checks=found,
        )


def _carry_out(session: Session, order: _Order, state: _State, verdict: Promotion) -> tables.ModelAlias | None:
    """Move the alias as it was judged; None when it, or its policy, is no longer what was judged."""
    models.locked(session, order.name)
    models.expect(session, order.name, order.alias, order.expected_revision)
    if not _holds(session, order.name, order.alias, state):
        return None
    if not verdict.allowed and not order.move.force:
        raise _blocked(order.name, order.alias, verdict)
    note = Note(
        actor=order.actor,
        forced=order.move.force and not verdict.allowed,
        reason=order.move.reason,
        checks=[check.model_dump(mode="json") for check in verdict.checks],
    )
    return models.set_alias(session, order.name, order.alias, order.move.version, order.expected_revision, note)


def roll_back(
    session: Session, name: str, alias: str, *, expected_revision: int | None, actor: str, reason: str | None
) -> tuple[tables.ModelAlias, int]:
    """Point an alias at the version it named before, unchecked: it was good once, and there may be no time.

    Gives the alias and the version it named until now. Raises NotFound, PreconditionFailed, Conflict
    ``nothing-to-roll-back-to``.
    """
    models.locked(session, name)
    models.expect(session, name, alias, expected_revision)
    now = models.get_alias(session, name, alias)
    if now is None:
        raise NotFound(f"{name} has no such alias.", "alias-not-found", f"List them with GET /models/{name}/aliases.")
    current, before = now.version, promotions.previous(session, name, alias)
    if before is None:
        raise Conflict(
            f"The alias {alias} of {name} has named no version before {current} that still exists.",
            "nothing-to-roll-back-to",
            "Point it at a version with PUT /models/{name}/aliases/{alias}; GET /models/{name}/aliases/{alias}/history "
            "shows its moves.",
        )
    note = Note(actor=actor, kind="rollback", reason=reason)
    return models.set_alias(session, name, alias, before, expected_revision, note), current


def _state(session: Session, name: str, alias: str, version: int) -> _State:
    models.known(session, name)
    candidate = models.get_version(session, name, version)
    if candidate is None:
        raise NotFound(f"{name} has no version {version}.", "version-not-found", "List GET /models/{name}/versions.")
    row, policy = models.get_alias(session, name, alias), promotions.policy(session, name, alias)
    holder = None if row is None else models.get_version(session, name, row.version)
    return _State(
        alias_revision=0 if row is None else row.revision,
        policy_revision=None if policy is None else policy.revision,
        policy=None if policy is None else PromotionPolicy.model_validate(policy.policy),
        candidate=_kept(candidate),
        holder=None if holder is None else _kept(holder),
    )


def _holds(session: Session, name: str, alias: str, state: _State) -> bool:
    row, policy = models.get_alias(session, name, alias), promotions.policy(session, name, alias)
    return (0 if row is None else row.revision, None if policy is None else policy.revision) == (
        state.alias_revision,
        state.policy_revision,
    )


def _kept(row: tables.ModelVersion) -> Kept:
    return Kept(row.version, row.artifact_prefix, stored_manifest(row))


def _blocked(name: str, alias: str, verdict: Promotion) -> Conflict:
    failed = " ".join(check.detail for check in verdict.checks if not check.passed)
    return Conflict(
        f"Version {verdict.version} of {name} may not take the alias {alias}: {failed}",
        "promotion-blocked",
        "Train a better version, change the policy of the alias, or send force with a reason.",
        extra={"checks": [check.model_dump(mode="json") for check in verdict.checks]},
    )
