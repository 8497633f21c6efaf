"""What comparisons with shadows have found, added up over all processes that serve."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from app.store.engine import clock, upsert
from app.store.tables import ShadowCount

Kind = Literal["compared", "agreed", "labels", "dropped"]
_KEY = ["model_name", "alias", "answered_version", "shadow_version", "kind", "one", "other"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Texts of one kind, to be added."""

    model_name: str
    alias: str
    answered_version: int
    shadow_version: int
    kind: Kind
    one: str
    """labels: what was answered, "" for nothing of a set. dropped: why."""
    other: str
    """labels: what the shadow would have said, "" for nothing of a set."""
    texts: int
    total: float
    """compared: the sum of the differences of probability."""


def add(session: Session, tallies: Sequence[Tally]) -> None:
    """Add texts to what is there; sorted by key, so that two who add at once do not wait for each other in a ring."""
    at = clock(session)
    for tally in tallies:
        row = asdict(tally) | {"first_at": at, "last_at": at}
        statement = upsert(session, ShadowCount).values(row)
        new = statement.excluded
        changed = {
            "texts": ShadowCount.texts + new.texts,
            "total": ShadowCount.total + new.total,
            "last_at": new.last_at,
        }
        session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=changed))


def of_alias(session: Session, name: str, alias: str) -> list[ShadowCount]:
    """Give all that was counted of an alias, the newest pair of versions first, then the most texts."""
    query = select(ShadowCount).where(ShadowCount.model_name == name, ShadowCount.alias == alias)
    order = (ShadowCount.shadow_version.desc(), ShadowCount.answered_version.desc(), ShadowCount.texts.desc())
    return list(session.scalars(query.order_by(*order, ShadowCount.one, ShadowCount.other)))


def forget(session: Session, name: str, version: int, alias: str | None = None) -> None:
    """Forget what was counted of a version: as a shadow of one alias, or wherever it is."""
    query = delete(ShadowCount).where(ShadowCount.model_name == name)
    if alias is not None:
        query = query.where(ShadowCount.alias == alias, ShadowCount.shadow_version == version)
    else:
        query = query.where(or_(ShadowCount.shadow_version == version, ShadowCount.answered_version == version))
    session.execute(query)
