"""A random walk over the job store on both databases, beside a model of ten lines that cannot be wrong.

Few jobs and few workers, so that their paths cross; any old claim may be used again, as a zombie would.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app.store import jobs, metrics, models
from app.store.claims import Claim
from app.store.tables import Job

MAX_ATTEMPTS = 2
SLOTS = st.integers(0, 1)
OLD = st.integers(0, 2)
AT_A_TIME = 2
ERROR = {"code": "diverged", "category": "data", "detail": "d", "remedy": None, "phase": None}


@dataclass
class Model:
    """What must be true of a job."""

    status: str = "queued"
    attempt: int = 0
    crashes: int = 0
    interruptions: int = 0
    cancel: bool = False
    stop: bool = False
    expired: bool = False
    points: int = 0
    moves: list[tuple[str | None, str]] = field(default_factory=lambda: [(None, "queued")])

    def move(self, status: str) -> None:
        """Follow a transition."""
        self.moves.append((self.status, status))
        self.status, self.expired = status, False

    def lose(self, crashed: bool) -> str:
        """Lose an attempt."""
        self.crashes += crashed
        self.interruptions += not crashed
        exhausted = crashed and self.crashes >= MAX_ATTEMPTS
        self.move("cancelled" if self.cancel else "failed" if exhausted else "queued")
        return self.status


class JobMachine(RuleBasedStateMachine):
    """Every verb, in any order, with fresh and with stale claims."""

    store: Any

    def __init__(self) -> None:
        super().__init__()
        self.store.forget_jobs()
        self.ids: list[str] = []
        self.model: dict[str, Model] = {}
        self.claims: list[Claim] = []

    def _job(self, slot: int) -> str:
        """Give one of the newest jobs: what ended long ago is of no interest any more."""
        return self.ids[-1 - slot % min(AT_A_TIME, len(self.ids))]

    def _unfinished(self) -> int:
        return sum(model.status in ("queued", "running") for model in self.model.values())

    def _use(self, age: int) -> tuple[Claim, Model, bool]:
        claim = self.claims[-1 - age % len(self.claims)]
        model = self.model[claim.job_id]
        return claim, model, model.status == "running" and model.attempt == claim.attempt

    @initialize()
    def begin(self) -> None:
        self.submit()
        self.claim_next(expired=False)

    @precondition(lambda self: self._unfinished() < AT_A_TIME)
    @rule()
    def submit(self) -> None:
        job_id = self.store.submit(max_attempts=MAX_ATTEMPTS)
        self.ids.append(job_id)
        self.model[job_id] = Model()

    @precondition(lambda self: self.ids)
    @rule(slot=SLOTS, expired=st.booleans())
    def claim(self, slot: int, expired: bool) -> None:
        job_id = self._job(slot)
        self._began(
            self.store.claim(job_id, lease=-1 if expired else 60), self.model[job_id].status == "queued", expired
        )

    @rule(expired=st.booleans())
    def claim_next(self, expired: bool) -> None:
        waiting = [job_id for job_id in self.ids if self.model[job_id].status == "queued"]
        claim = self.store.claim(lease=-1 if expired else 60)
        assert claim is None or claim.job_id == waiting[0]
        self._began(claim, bool(waiting), expired)

    def _began(self, claim: Claim | None, possible: bool, expired: bool) -> None:
        assert (claim is not None) == possible
        if claim is not None:
            model = self.model[claim.job_id]
            model.attempt += 1
            model.move("running")
            model.expired = expired
            assert claim.attempt == model.attempt
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(age=OLD, expired=st.booleans())
    def heartbeat(self, age: int, expired: bool) -> None:
        claim, model, held = self._use(age)
        beat = self.store.do(jobs.heartbeat, claim, lease_seconds=-1 if expired else 60)
        assert beat == jobs.Heartbeat(held, held and model.cancel, held and model.stop)
        if held:
            model.expired = expired

    @precondition(lambda self: self.claims)
    @rule(age=OLD)
    def record(self, age: int) -> None:
        claim, model, held = self._use(age)
        batch = jobs.Recorded(
            events=[jobs.NewEvent("step", {})], points=[jobs.Point("loss", model.points, 0.0, float(claim.attempt))]
        )
        assert self.store.do(jobs.record, claim, batch) is held
        model.points += held

    @precondition(lambda self: self.claims)
    @rule(age=OLD)
    def start_phase(self, age: int) -> None:
        claim, _, held = self._use(age)
        assert self.store.do(jobs.start_phase, claim, "training") is held

    @precondition(lambda self: self.claims)
    @rule(age=OLD, crashed=st.booleans())
    def release(self, age: int, crashed: bool) -> None:
        claim, model, held = self._use(age)
        expected = model.lose(crashed) if held else None
        assert self.store.do(jobs.release, claim, crashed=crashed, reason="r") == expected

    @precondition(lambda self: self.claims)
    @rule(age=OLD, verb=st.sampled_from(["failed", "cancelled"]))
    def end(self, age: int, verb: str) -> None:
        claim, model, held = self._use(age)
        end: Callable[..., bool] = jobs.fail if verb == "failed" else jobs.cancelled
        assert self.store.do(end, claim, *([ERROR] if verb == "failed" else []), "r") is held
        if held:
            model.move("cancelled" if model.cancel else verb)

    @precondition(lambda self: self.claims)
    @rule(age=OLD)
    def publish(self, age: int) -> None:
        claim, model, held = self._use(age)
        if held and not model.cancel:
            assert self.store.publish(claim).attempt == claim.attempt
            model.move("succeeded")
        else:
            with pytest.raises(jobs.LeaseLost):
                self.store.publish(claim)

    @precondition(lambda self: self.ids)
    @rule(slot=SLOTS)
    def cancel(self, slot: int) -> None:
        model = self.model[self._job(slot)]
        expected = {"queued": "cancelled", "running": "cancelling", "cancelled": "cancelled"}
        assert self.store.do(jobs.cancel, self._job(slot)) == expected.get(model.status, "already-finished")
        if model.status == "queued":
            model.move("cancelled")
        elif model.status == "running":
            model.cancel = True

    @precondition(lambda self: self.ids)
    @rule(slot=SLOTS)
    def stop(self, slot: int) -> None:
        model = self.model[self._job(slot)]
        outcome = self.store.do(jobs.stop, self._job(slot))
        if model.status not in ("queued", "running"):
            assert outcome == "already-finished"
        elif model.cancel or model.attempt == 0:
            assert outcome == ("being-cancelled" if model.cancel else "not-begun")
        else:
            assert outcome == "stopping"
            model.stop = True

    @rule()
    def rescue(self) -> None:
        expired = {job_id for job_id in self.ids if self.model[job_id].expired}
        assert dict(self.store.do(jobs.rescue_expired)) == {job_id: self.model[job_id].lose(True) for job_id in expired}

    @rule()
    def ring(self) -> None:
        waiting = {job_id for job_id in self.ids if self.model[job_id].status == "queued"}
        assert {job_id for job_id, _ in self.store.do(jobs.due_for_ring, -1, 10)} == waiting

    @invariant()
    def database_and_model_agree(self) -> None:
        with self.store.database.transaction(read_only=True) as session:
            rows = {row.id: row for row in session.scalars(select(Job))}
            assert rows.keys() == self.model.keys()
            for job_id, model in self.model.items():
                self._agree(session, rows[job_id], model)

    def _agree(self, session: Any, row: Job, model: Model) -> None:
        assert (row.status, row.attempt) == (model.status, model.attempt)
        assert (row.crash_count, row.interruption_count) == (model.crashes, model.interruptions)
        assert (row.error is not None) == (model.status == "failed")
        assert row.phase is None or row.status == "running"
        events = jobs.events.after(session, row.id, 0, 1000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [(e.data["from"], e.data["to"]) for e in events if e.type == "status"] == model.moves
        assert len(metrics.history(session, row.id)) == model.points
        assert (row.id in models.of_jobs(session, [row.id])) == (model.status == "succeeded")


def walk(store: Any, **effort: Any) -> None:
    """Walk at random through a store; ``effort`` are settings of Hypothesis."""
    if store.database.engine.dialect.name == "sqlite":
        # The pool's only connection need not wait for the disk: no power cut is among the verbs.
        raw = store.database.engine.raw_connection()
        raw.execute("PRAGMA synchronous=OFF")
        raw.close()
    machine = type("Machine", (JobMachine,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(suppress_health_check=list(HealthCheck), **effort))


def test_no_order_of_verbs_breaks_a_promise(store: Any) -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    walk(store, max_examples=15, stateful_step_count=25, phases=phases)
