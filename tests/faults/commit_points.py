"""Failpoints of the processes that hold the database: around the commit of a verb of the store, around a ring.

``before-commit:claim_next`` dies inside the transaction of that verb, ``after-commit:claim_next`` right after it,
``before-ring`` and ``after-ring`` around the doorbell.
"""

import functools
from types import ModuleType
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.queue.enqueue import Doorbell
from app.store import jobs, models
from tests.faults import failpoints
from tests.faults.failpoints import die

VERBS: dict[str, ModuleType] = {
    "submit": jobs,
    "cancel": jobs,
    "claim_next": jobs,
    "heartbeat": jobs,
    "start_phase": jobs,
    "record": jobs,
    "release": jobs,
    "fail": jobs,
    "rescue_expired": jobs,
    "due_for_ring": jobs,
    "register_version": models,
    "set_alias": models,
}


def arm(failpoint: str) -> None:
    """Set a trap in this process, be it one of these or one of ``failpoints``."""
    when, _, where = failpoint.partition(":")
    match when:
        case "before-commit" | "after-commit":
            _at_commit(when.replace("-", "_"), where)
        case "before-ring" | "after-ring":
            _at_ring(when == "before-ring")
        case _:
            failpoints.arm(failpoint)


def _at_commit(moment: str, verb: str) -> None:
    module = VERBS[verb]
    work = getattr(module, verb)

    @functools.wraps(work)
    def marked(session: Session, *args: Any, **kwargs: Any) -> Any:
        result = work(session, *args, **kwargs)
        # A verb that found nothing to do is not the one that the trap is for.
        session.info["trapped"] = session.info.get("trapped") or bool(result)
        return result

    setattr(module, verb, marked)

    def spring(session: Session) -> None:
        if session.info.get("trapped"):
            die()

    event.listen(Session, moment, spring)


def _at_ring(before: bool) -> None:
    ring = Doorbell.ring

    def rung(self: Doorbell, *args: Any, **kwargs: Any) -> bool:
        if before:
            die()
        rang = ring(self, *args, **kwargs)
        self.flush()
        die()
        return rang

    Doorbell.ring = rung  # type: ignore[method-assign]
