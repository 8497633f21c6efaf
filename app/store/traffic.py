"""How the calls of aliases are split: written by those who hold the row of the model, read by all who serve."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.logging import get_logger
from app.schemas.traffic import Traffic
from app.store import promotions, shadows
from app.store.engine import clock
from app.store.promotions import Note
from app.store.tables import AliasTraffic, Model, ModelAlias

log = get_logger(__name__)


def get(session: Session, name: str, alias: str) -> AliasTraffic | None:
    """Find how the calls of an alias are split; None: they are not."""
    return session.get(AliasTraffic, (name, alias), populate_existing=True)


def of_model(session: Session, name: str) -> list[str]:
    """Name the aliases of a model whose calls are split."""
    query = select(AliasTraffic.alias).where(AliasTraffic.model_name == name).order_by(AliasTraffic.alias)
    return list(session.scalars(query))


def put(session: Session, model: Model, alias: ModelAlias, wish: Traffic, note: Note) -> AliasTraffic:
    """Split the calls of an alias and record that; the same again is no change. The row of the model is held."""
    row = get(session, model.name, alias.alias)
    if wish.shadow is not None and (row is None or row.shadow_version != wish.shadow.version):
        shadows.forget(session, model.name, wish.shadow.version, alias.alias)  # a new comparison begins at nothing
    if row is not None and Traffic.model_validate(row.traffic) == wish:
        return row
    model.revision += 1
    model.updated_at = clock(session)
    if row is None:
        row = AliasTraffic(model_name=model.name, alias=alias.alias)
        session.add(row)
    _write(row, model, wish, note.actor)
    promotions.record(session, model, alias.alias, note, before=alias.version, after=alias.version, traffic=_dump(wish))
    session.flush()
    return row


def clear(session: Session, model: Model, alias: ModelAlias, note: Note) -> bool:
    """Let the version that the alias names answer all its calls again; False when it did already."""
    if get(session, model.name, alias.alias) is None:
        return False
    model.revision += 1
    model.updated_at = clock(session)
    left = remove(session, model, alias.alias)
    promotions.record(session, model, alias.alias, note, before=alias.version, after=alias.version, traffic=left)
    return True


def follow_move(session: Session, model: Model, alias: str, version: int, actor: str) -> dict[str, Any] | None:
    """End what a move of the alias ends, and give what is left for the history; None where nothing changes.

    A canary was tried against the version that the alias named, so whatever it names now, the trial is over: it has
    become the version itself, or all callers are to be answered by another one. A shadow goes on, unless it is what the
    alias names now.
    """
    row = get(session, model.name, alias)
    if row is None:
        return None
    before = Traffic.model_validate(row.traffic)
    shadow = None if before.shadow is None or before.shadow.version == version else before.shadow
    left = before.model_copy(update={"canary": None, "shadow": shadow})
    if left == before:
        return None
    if left.is_plain:
        return remove(session, model, alias)
    _write(row, model, left, actor)
    session.flush()
    return _dump(left)


def remove(session: Session, model: Model, alias: str) -> dict[str, Any] | None:
    """Delete the traffic of an alias and give what is left for the history: nothing. None where there was none."""
    row = get(session, model.name, alias)
    if row is None:
        return None
    session.delete(row)
    session.flush()
    return _dump(Traffic())


def uses(session: Session, name: str) -> Iterator[tuple[int, str]]:
    """Give the versions of a model that calls are sent to besides those that aliases name, and how."""
    for row in session.scalars(
        select(AliasTraffic).where(AliasTraffic.model_name == name).order_by(AliasTraffic.alias)
    ):
        if row.canary_version is not None:
            yield row.canary_version, f"it is the canary of the alias {row.alias}"
        if row.shadow_version is not None:
            yield row.shadow_version, f"it is the shadow of the alias {row.alias}"


def of_all(session: Session) -> dict[tuple[str, str], Traffic]:
    """Read all splits there are, by model and alias; one of a newer release that makes no sense is left out."""
    found = {}
    for row in session.execute(select(AliasTraffic.model_name, AliasTraffic.alias, AliasTraffic.traffic)):
        try:
            found[row.model_name, row.alias] = Traffic.model_validate(row.traffic)
        except ValidationError:  # all names are read at once: this must not keep the others from being seen
            log.error("The traffic of an alias cannot be read", model=row.model_name, alias=row.alias)
    return found


def _write(row: AliasTraffic, model: Model, traffic: Traffic, actor: str) -> None:
    row.traffic = _dump(traffic)
    row.canary_version = None if traffic.canary is None else traffic.canary.version
    row.shadow_version = None if traffic.shadow is None else traffic.shadow.version
    row.revision, row.updated_at, row.updated_by = model.revision, model.updated_at, actor


def _dump(traffic: Traffic) -> dict[str, Any]:
    return traffic.model_dump(mode="json")
