"""What versions are asked and answer, counted by the hour over all processes; and how often they were right."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from app.store.engine import now_plus, upsert
from app.store.tables import LiveCount, LoggedPrediction

Kind = Literal["texts", "labels", "confidence", "tokens"]
_KEY = ["model_name", "version", "hour", "kind", "bin"]
KEPT_SECONDS = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Texts of one bin, to be added."""

    model_name: str
    version: int
    hour: datetime
    kind: Kind
    bin: str
    texts: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What feedback says of a version."""

    feedback: int
    right: int
    since: datetime
    until: datetime


def add(session: Session, tallies: Sequence[Tally]) -> None:
    """Add texts to what is there; sorted by key, so that two who add at once do not wait for each other in a ring."""
    for tally in tallies:
        statement = upsert(session, LiveCount).values(asdict(tally))
        more = {"texts": LiveCount.texts + statement.excluded.texts}
        session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=more))


def between(session: Session, name: str, version: int, since: datetime, until: datetime) -> list[LiveCount]:
    """Give what was counted in the hours from ``since`` until before ``until``."""
    query = select(LiveCount).where(LiveCount.model_name == name, LiveCount.version == version)
    return list(session.scalars(query.where(LiveCount.hour >= since, LiveCount.hour < until)))


def judged(session: Session, name: str, version: int) -> Judged | None:
    """Count the feedback to the logged answers of a version; None: there is none."""
    right = func.sum(case((LoggedPrediction.right.is_(True), 1), else_=0))
    query = select(func.count(), right, func.min(LoggedPrediction.at), func.max(LoggedPrediction.at)).where(
        LoggedPrediction.model_name == name, LoggedPrediction.version == version, LoggedPrediction.truth.is_not(None)
    )
    count, hits, since, until = session.execute(query).one()
    return Judged(count, int(hits), since, until) if count else None


def purge(session: Session) -> None:
    """Forget counts of more than a year ago."""
    session.execute(delete(LiveCount).where(LiveCount.hour < now_plus(-KEPT_SECONDS)))


def forget(session: Session, name: str, version: int) -> None:
    """Forget what was counted of a version."""
    session.execute(delete(LiveCount).where(LiveCount.model_name == name, LiveCount.version == version))
