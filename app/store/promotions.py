"""Policies of aliases and the history of their moves: who moved what, when, why, and what was checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Unprocessable
from app.schemas.keys import ANONYMOUS
from app.store import cursors
from app.store.engine import clock, upsert
from app.store.tables import AliasMove, AliasPolicy, Model, ModelVersion

Kind = Literal["move", "rollback", "remove", "traffic"]


@dataclass(frozen=True, slots=True)
class Note:
    """What the history says of a move besides from where to where."""

    actor: str = ANONYMOUS
    kind: Kind = "move"
    forced: bool = False
    reason: str | None = None
    checks: Sequence[dict[str, Any]] = field(default_factory=tuple)


def record(
    session: Session,
    model: Model,
    alias: str,
    note: Note,
    *,
    before: int | None,
    after: int | None,
    traffic: dict[str, Any] | None = None,
) -> None:
    """Append a move to the history; the caller holds the row of the model, so moves have an order.

    ``traffic`` is how the calls are split from now on, where the move changes that.
    """
    session.add(
        AliasMove(
            model_name=model.name,
            alias=alias,
            kind=note.kind,
            from_version=before,
            to_version=after,
            actor=note.actor,
            forced=note.forced,
            reason=note.reason,
            checks=list(note.checks),
            traffic=traffic,
            at=model.updated_at,
        )
    )
    session.flush()


def history(
    session: Session, name: str, alias: str, limit: int, cursor: str | None = None
) -> tuple[list[AliasMove], str | None]:
    """List the moves of an alias, newest first, and the cursor of the next page; raises ``invalid-cursor``."""
    query = select(AliasMove).where(AliasMove.model_name == name, AliasMove.alias == alias)
    if cursor is not None:
        query = query.where(AliasMove.id < _place(cursor))
    rows = list(session.scalars(query.order_by(AliasMove.id.desc()).limit(limit + 1)))
    return (rows, None) if len(rows) <= limit else (rows[:limit], cursors.encode(str(rows[limit - 1].id)))


def _place(cursor: str) -> int:
    place = cursors.decode_name(cursor)
    if not place.isdecimal() or len(place) > 18:
        raise Unprocessable(
            "The cursor is not one that this list gave out.",
            "invalid-cursor",
            "Use next_cursor of the page before as it is, or leave cursor out to begin at the start.",
        )
    return int(place)


def previous(session: Session, name: str, alias: str) -> int | None:
    """Give the version that a rollback goes to: what the alias named before, were the later moves undone.

    Moves pile up, rollbacks take off; versions that were deleted are passed over. None: there is nothing below.
    """
    query = select(AliasMove.kind, AliasMove.to_version).where(
        AliasMove.model_name == name, AliasMove.alias == alias, AliasMove.kind != "traffic"
    )
    pile: list[int] = []
    for kind, version in session.execute(query.order_by(AliasMove.id)):
        if kind == "remove" or version is None:
            pile.clear()
        elif kind == "rollback" and version in pile:
            del pile[_last(pile, version) + 1 :]
        elif not pile or pile[-1] != version:
            pile.append(version)
    known = set(session.scalars(select(ModelVersion.version).where(ModelVersion.model_name == name)))
    return next((version for version in reversed(pile[:-1]) if version in known and version != pile[-1]), None)


def _last(pile: list[int], version: int) -> int:
    return len(pile) - 1 - pile[::-1].index(version)


def policy(session: Session, name: str, alias: str) -> AliasPolicy | None:
    """Find the policy of an alias."""
    return session.get(AliasPolicy, (name, alias), populate_existing=True)


def with_policy(session: Session, name: str) -> list[str]:
    """Name the aliases of a model that have a policy, set or not."""
    query = select(AliasPolicy.alias).where(AliasPolicy.model_name == name).order_by(AliasPolicy.alias)
    return list(session.scalars(query))


def put_policy(session: Session, model: Model, alias: str, content: dict[str, Any], actor: str) -> AliasPolicy:
    """Set the policy of an alias, which need not exist yet; the caller holds the row of the model."""
    model.revision += 1
    row = {
        "model_name": model.name,
        "alias": alias,
        "policy": content,
        "revision": model.revision,
        "updated_at": clock(session),
        "updated_by": actor,
    }
    changed = {key: row[key] for key in ("policy", "revision", "updated_at", "updated_by")}
    statement = upsert(session, AliasPolicy).values(row)
    session.execute(statement.on_conflict_do_update(index_elements=["model_name", "alias"], set_=changed))
    return session.get_one(AliasPolicy, (model.name, alias), populate_existing=True)


def delete_policy(session: Session, model: Model, alias: str) -> bool:
    """Remove the policy of an alias; False when it has none."""
    row = policy(session, model.name, alias)
    if row is None:
        return False
    session.delete(row)
    model.revision += 1
    session.flush()
    return True
