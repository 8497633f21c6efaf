"""The life of a job, verb by verb, on both databases."""

import base64
import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.errors import NotFound, Unprocessable
from app.schemas.diagnoses import Diagnosis
from app.schemas.hyperparameters import Resolution
from app.schemas.inspections import Inspection, Layer
from app.schemas.jobs import BaseModelRef, BestMetric, JobWarning, Progress, TrainJobRequest
from app.schemas.metrics import Evaluation
from app.schemas.usage import Breakdown, Usage
from app.store import jobs, metrics
from app.store.claims import Claim
from app.store.tables import Job

ERROR = {"code": "diverged", "category": "data", "detail": "d", "remedy": "r", "phase": "training"}


def test_a_submitted_job_waits_with_its_defaults_written_out(store: Any) -> None:
    job = store.job(store.submit(priority=3, metadata={"team": "a"}))
    assert (job.status, job.attempt, job.crash_count, job.phase) == ("queued", 0, 0, None)
    assert (job.priority, job.queue, job.user_metadata) == (3, "default", {"team": "a"})
    assert job.hyperparameters["learning_rate"] == "auto"
    assert TrainJobRequest.model_validate(job.request).model == "mood"
    assert job.base_model == {"id": "minilm-l6", "source": "package", "revision": "1"}
    assert job.run_at == job.created_at and job.started_at is None and job.finished_at is None
    (event,) = store.events(job.id)
    assert (event.seq, event.type, event.attempt) == (1, "status", 0)
    assert event.data == {"from": None, "to": "queued", "reason": "The job was accepted.", "actor": "client"}


def test_a_job_for_a_deleted_dataset_is_refused(store: Any, new_dataset: Any) -> None:
    store.dataset = new_dataset("ds_gone")
    with pytest.raises(NotFound) as caught:
        store.submit()
    assert caught.value.code == "dataset-not-found"


def test_a_claim_starts_an_attempt(store: Any) -> None:
    job_id = store.submit()
    claim = store.claim(job_id, owner="wrk_7", lease=60)
    assert claim == Claim(job_id, 1, "wrk_7")
    job = store.job(job_id)
    assert (job.status, job.attempt, job.lease_owner, job.worker) == (
        "running",
        1,
        "wrk_7",
        {"id": "wrk_7", "device": None},
    )
    assert timedelta(seconds=59) < job.lease_until - job.started_at < timedelta(seconds=61)
    assert store.moves(job_id) == [(None, "queued"), ("queued", "running")]
    assert store.events(job_id)[-1].data["actor"] == "wrk_7"


def test_nothing_is_claimed_twice_or_out_of_turn(store: Any) -> None:
    job_id = store.submit()
    assert store.claim("job_unknown") is None
    assert store.claim(job_id) is not None
    assert store.claim(job_id) is None
    assert store.claim() is None
    other = store.submit(queue="gpu")
    assert store.claim(other) is None and store.claim() is None


def test_a_job_is_not_claimed_before_its_time(store: Any) -> None:
    job_id = store.submit()
    later = store.job(job_id).run_at + timedelta(hours=1)
    store.do(lambda session: session.execute(update(Job).values(run_at=later)))
    assert store.claim(job_id) is None and store.claim() is None
    assert store.do(jobs.due_for_ring, -1, 10) == []


def test_the_next_job_is_that_of_the_highest_priority_then_the_oldest(store: Any) -> None:
    first, second, urgent, late = (store.submit(priority=priority) for priority in (0, 0, 5, -5))
    positions = [store.do(jobs.queue_position, store.job(job)) for job in (urgent, first, second, late)]
    assert positions == [0, 1, 2, 3]
    assert [store.claim().job_id for _ in range(4)] == [urgent, first, second, late]
    assert store.claim() is None


def test_no_stream_of_urgent_jobs_holds_up_another_for_ever(store: Any) -> None:
    patient = store.submit(priority=-1)
    turn = store.job(patient).turn_at - timedelta(minutes=90)
    store.do(lambda session: session.execute(update(Job).where(Job.id == patient).values(turn_at=turn)))
    urgent, most_urgent = store.submit(priority=88), store.submit(priority=100)
    assert store.do(jobs.queue_position, store.job(patient)) == 1
    assert [store.claim().job_id for _ in range(3)] == [most_urgent, patient, urgent]


def test_a_job_that_cannot_get_what_it_needs_lets_others_go_first(store: Any) -> None:
    stuck, other = store.submit(), store.submit()
    pauses = []
    for _ in range(8):
        claim = store.claim(stuck)
        assert store.do(jobs.release, claim, crashed=False, reason="Its data is away.", wait=True) == "queued"
        job = store.job(stuck)
        pauses.append(round((job.run_at - store.events(stuck)[-1].at).total_seconds()))
        store.do(Session.execute, update(Job).where(Job.id == stuck).values(run_at=job.created_at))
    assert pauses == [4, 8, 16, 32, 64, 120, 120, 120]
    store.do(Session.execute, update(Job).where(Job.id == stuck).values(run_at=job.run_at))
    assert store.claim().job_id == other
    assert store.claim() is None


def test_a_heartbeat_prolongs_the_lease_and_carries_progress(store: Any) -> None:
    claim = store.running(lease=5)
    before = store.job(claim.job_id).lease_until
    beat = store.do(jobs.heartbeat, claim, lease_seconds=60, progress=Progress(step=3, loss=float("nan")))
    assert beat == jobs.Heartbeat(held=True, cancel_requested=False)
    job = store.job(claim.job_id)
    assert job.lease_until - before > timedelta(seconds=50)
    assert (job.progress["step"], job.progress["loss"]) == (3, None)
    assert len(store.events(claim.job_id)) == 2, "a heartbeat is no event"


def test_phases_are_spans_without_gaps(store: Any) -> None:
    claim = store.running()
    for phase in ("preparing", "preparing", "training", "evaluating"):
        assert store.do(jobs.start_phase, claim, phase)
    job = store.job(claim.job_id)
    assert job.phase == "evaluating"
    assert [span["phase"] for span in job.phase_history] == ["preparing", "training", "evaluating"]
    first, second, third = job.phase_history
    assert first["finished_at"] == second["started_at"] and second["finished_at"] == third["started_at"]
    assert third["finished_at"] is None
    assert [event.data for event in store.events(claim.job_id) if event.type == "phase"] == [
        {"phase": "preparing"},
        {"phase": "training"},
        {"phase": "evaluating"},
    ]
    assert store.do(jobs.fail, claim, ERROR, "It diverged.")
    job = store.job(claim.job_id)
    assert job.phase is None and job.phase_history[-1]["finished_at"] is not None


def evaluation(split: str) -> Evaluation:
    scores = dict.fromkeys(
        (
            "loss",
            "accuracy",
            "f1_macro",
            "f1_weighted",
            "precision_macro",
            "precision_weighted",
            "recall_macro",
            "recall_weighted",
        ),
        0.5,
    )
    return Evaluation(split=split, examples=2, per_class=[], confusion_matrix=[[1, 0], [0, 1]], **scores)


INSPECTION = Inspection(
    architecture="TextCNN",
    parameters=5,
    trainable_parameters=5,
    size_mb=0.1,
    device="cpu",
    layers=[Layer(name="a", kind="Linear", parameters=5)],
)


def test_a_record_holds_what_the_attempt_saw(store: Any) -> None:
    claim = store.running()
    warning = JobWarning(code="truncated", detail="d")
    first = jobs.Recorded(
        events=[jobs.NewEvent("step", {"step": 1}), jobs.NewEvent("step", {"step": 2})],
        points=[jobs.Point("train/loss", 1, 0.5, 0.9), jobs.Point("train/loss", 2, 1.0, float("nan"))],
        progress=Progress(fraction=0.5),
        last_metrics={"train/loss": 0.9},
        evaluations={"validation": evaluation("validation")},
        hyperparameters={"batch_size": 16},
        resolutions=[Resolution(field="batch_size", value=16.0, reason="r")],
        base_model=BaseModelRef(id="x", source="hub", revision="abc"),
        warnings=[warning],
        usage=Usage(train_seconds=1.0),
        device="cpu",
        inspection=INSPECTION,
    )
    assert store.do(jobs.record, claim, first)
    best = BestMetric(name="f1_macro", value=0.5, step=2, epoch=1.0)
    second = jobs.Recorded(
        best_metric=best,
        last_metrics={"eval/f1_macro": 0.5},
        evaluations={"test": evaluation("test")},
        warnings=[warning],
        usage=Usage(gpu_seconds=0.0),
        stop_reason="completed",
    )
    assert store.do(jobs.record, claim, second)
    job = store.job(claim.job_id)
    assert job.progress["fraction"] == 0.5 and job.best_metric == best.model_dump()
    assert job.last_metrics == {"train/loss": 0.9, "eval/f1_macro": 0.5}
    assert set(job.evaluations) == {"validation", "test"}
    assert job.hyperparameters == {"batch_size": 16} and job.resolutions[0]["field"] == "batch_size"
    assert job.base_model["revision"] == "abc" and job.stop_reason == "completed"
    assert len(job.warnings) == 1, "the same warning is told once"
    assert job.usage == {"train_seconds": 1.0, "gpu_seconds": 0.0}
    assert job.worker == {"id": "wrk_1", "device": "cpu"}
    assert Inspection.model_validate(job.inspection) == INSPECTION
    assert [event.data for event in store.events(job.id)[2:]] == [{"step": 1}, {"step": 2}]
    assert [point.value for point in store.do(metrics.history, job.id)] == [0.9], "NaN is no point"


def test_an_interruption_returns_the_job_without_counting(store: Any) -> None:
    claim = store.running(max_attempts=1)
    assert store.do(jobs.release, claim, crashed=False, reason="The worker is shutting down.") == "queued"
    job = store.job(claim.job_id)
    assert (job.status, job.crash_count, job.interruption_count) == ("queued", 0, 1)
    assert job.lease_owner is None and job.lease_until is None and job.worker is None
    assert store.claim(claim.job_id).attempt == 2


def test_the_last_crash_fails_the_job_with_its_cause(store: Any) -> None:
    job_id = store.submit(max_attempts=2)
    first = store.claim(job_id)
    assert store.do(jobs.release, first, crashed=True, reason="It was killed.") == "queued"
    second = store.claim(job_id)
    assert store.do(jobs.start_phase, second, "training")
    assert store.do(jobs.release, second, crashed=True, reason="It was killed.", error=ERROR) == "failed"
    job = store.job(job_id)
    assert job.error["code"] == "worker-lost-limit" and job.error["cause"] == ERROR
    assert job.error["phase"] == "training"
    assert "crash 2 of 2" in job.status_reason
    assert job.finished_at is not None
    assert store.moves(job_id)[-2:] == [("queued", "running"), ("running", "failed")]


@pytest.mark.parametrize("crashed", [True, False])
def test_a_released_job_whose_cancel_was_asked_for_is_cancelled(store: Any, crashed: bool) -> None:
    claim = store.running(max_attempts=1)
    assert store.do(jobs.cancel, claim.job_id) == "cancelling"
    assert store.do(jobs.release, claim, crashed=crashed, reason="It ended.") == "cancelled"
    assert store.status(claim.job_id) == "cancelled" and store.job(claim.job_id).error is None


def test_a_new_attempt_reports_from_the_start(store: Any) -> None:
    claim = store.running()
    report = jobs.Recorded(progress=Progress(fraction=0.9), last_metrics={"a": 1.0}, stop_reason="max_steps")
    assert store.do(jobs.record, claim, report)
    store.do(jobs.release, claim, crashed=True, reason="It was killed.")
    store.claim(claim.job_id)
    job = store.job(claim.job_id)
    assert (job.progress, job.last_metrics, job.stop_reason) == ({}, {}, None)


def test_a_failure_keeps_its_error(store: Any) -> None:
    claim = store.running()
    assert store.do(jobs.fail, claim, ERROR, "Training diverged.")
    job = store.job(claim.job_id)
    assert (job.status, job.error, job.status_reason) == ("failed", ERROR, "Training diverged.")
    assert job.lease_until is None and job.finished_at >= job.started_at


def test_cancel_of_a_waiting_job_is_immediate(store: Any) -> None:
    job_id = store.submit()
    assert [store.do(jobs.cancel, job_id) for _ in range(2)] == ["cancelled", "cancelled"]
    assert store.moves(job_id) == [(None, "queued"), ("queued", "cancelled")]
    assert store.claim(job_id) is None


def test_cancel_of_a_running_job_is_heard_by_its_worker(store: Any) -> None:
    claim = store.running()
    assert [store.do(jobs.cancel, claim.job_id) for _ in range(2)] == ["cancelling", "cancelling"]
    assert [event.type for event in store.events(claim.job_id)].count("cancelling") == 1
    assert store.do(jobs.heartbeat, claim, lease_seconds=60).cancel_requested
    assert store.do(jobs.cancelled, claim, "The client cancelled the job.")
    assert store.do(jobs.cancel, claim.job_id) == "cancelled"
    assert store.moves(claim.job_id)[-1] == ("running", "cancelled")


def test_cancel_comes_too_late_or_finds_nothing(store: Any) -> None:
    claim = store.running()
    store.publish(claim)
    assert store.do(jobs.cancel, claim.job_id) == "already-finished"
    assert store.status(claim.job_id) == "succeeded"
    assert store.do(jobs.cancel, "job_unknown") is None


def test_stop_is_heard_by_the_worker_and_by_the_next_one(store: Any) -> None:
    claim = store.running()
    assert [store.do(jobs.stop, claim.job_id) for _ in range(2)] == ["stopping", "stopping"]
    assert [event.type for event in store.events(claim.job_id)].count("stopping") == 1
    assert store.do(jobs.heartbeat, claim, lease_seconds=60) == jobs.Heartbeat(True, False, True)
    assert store.do(jobs.release, claim, crashed=True, reason="It ended.") == "queued"
    assert store.do(jobs.stop, claim.job_id) == "stopping"
    again = store.claim(claim.job_id)
    assert store.do(jobs.heartbeat, again, lease_seconds=60).stop_requested
    store.publish(again)
    assert store.do(jobs.stop, claim.job_id) == "already-finished"


def test_stop_where_there_is_nothing_to_keep(store: Any) -> None:
    assert store.do(jobs.stop, "job_unknown") is None
    assert store.do(jobs.stop, store.submit()) == "not-begun"
    claim = store.running()
    store.do(jobs.cancel, claim.job_id)
    assert store.do(jobs.stop, claim.job_id) == "being-cancelled"


def test_what_a_job_has_trained_stays_with_it(store: Any) -> None:
    claim = store.running()
    for batch in (jobs.Recorded(trained_seconds=2.5), jobs.Recorded(usage=Usage(wall_seconds=9.0))):
        store.do(jobs.record, claim, batch)
    store.do(jobs.release, claim, crashed=True, reason="r")
    store.claim(claim.job_id)
    assert store.job(claim.job_id).usage == {"trained_seconds": 2.5, "wall_seconds": 9.0}


@pytest.mark.parametrize("attempts", [1, 2])
def test_the_parts_of_a_jobs_time_add_up_to_all_of_it(store: Any, attempts: int) -> None:
    """Of a job that was lost once, what nobody measured counts as waiting."""
    claim = store.running()
    for _ in range(attempts - 1):
        store.do(jobs.release, claim, crashed=True, reason="r")
        claim = store.claim(claim.job_id)
    told = Breakdown(start=0.01, prepare=0.02, train=0.03, evaluate=0.0, export=0.01, verify=0.0)
    time.sleep(0.1)
    store.do(jobs.record, claim, jobs.Recorded(usage=Usage(breakdown=told)))
    assert store.job(claim.job_id).usage["breakdown"] == told.model_dump(exclude_unset=True)
    store.do(jobs.start_phase, claim, "publishing")
    time.sleep(0.1)
    store.publish(claim)
    job = store.job(claim.job_id)
    usage = Usage.model_validate(job.usage)
    assert usage.breakdown is not None
    assert usage.breakdown.model_copy(update={"queue": None, "publish": None}) == told
    assert sum(usage.parts.values()) == pytest.approx((job.finished_at - job.created_at).total_seconds(), abs=0.003)
    if attempts == 1:
        assert usage.breakdown.queue == pytest.approx((job.started_at - job.created_at).total_seconds(), abs=0.003)
    else:
        published = job.finished_at - datetime.fromisoformat(job.phase_history[-1]["started_at"])
        assert usage.breakdown.publish == pytest.approx(published.total_seconds(), abs=0.003)


def test_a_failure_does_not_hide_an_earlier_cancel(store: Any) -> None:
    claim = store.running()
    store.do(jobs.cancel, claim.job_id)
    assert store.do(jobs.fail, claim, ERROR, "It diverged.") is True
    job = store.job(claim.job_id)
    assert (job.status, job.error, job.status_reason) == ("cancelled", None, "The client cancelled the job.")


def test_expired_leases_are_taken_back_and_live_ones_are_not(store: Any) -> None:
    live = store.running(lease=60)
    dead = [store.running(lease=-1, max_attempts=limit) for limit in (3, 1)]
    stopped = store.running(lease=-1)
    store.do(jobs.cancel, stopped.job_id)
    rescued = dict(store.do(jobs.rescue_expired))
    assert rescued == {dead[0].job_id: "queued", dead[1].job_id: "failed", stopped.job_id: "cancelled"}
    assert {job_id: store.status(job_id) for job_id in rescued} == rescued
    assert store.status(live.job_id) == "running"
    assert store.do(jobs.rescue_expired) == []
    job = store.job(dead[0].job_id)
    assert (job.crash_count, job.interruption_count, job.rung_at) == (1, 0, None)
    assert store.events(job.id)[-1].data["actor"] == "reconciler"
    assert store.job(dead[1].job_id).error["code"] == "worker-lost-limit"


def test_rescue_takes_no_more_than_asked(store: Any) -> None:
    for _ in range(3):
        store.running(lease=-1)
    assert [len(store.do(jobs.rescue_expired, limit=2)) for _ in range(3)] == [2, 1, 0]


def test_a_zombie_writes_nothing(store: Any) -> None:
    zombie = store.running(lease=-1)
    job_id = zombie.job_id
    store.do(jobs.rescue_expired)
    heir = store.claim(job_id, owner="wrk_2")
    before, history = store.job(job_id), store.events(job_id)
    batch = jobs.Recorded(
        events=[jobs.NewEvent("step", {})], points=[jobs.Point("a", 1, 1.0, 1.0)], progress=Progress(step=9)
    )
    assert store.do(jobs.heartbeat, zombie, lease_seconds=60, progress=Progress(step=9)).held is False
    assert store.do(jobs.start_phase, zombie, "training") is False
    assert store.do(jobs.record, zombie, batch) is False
    assert store.do(jobs.release, zombie, crashed=True, reason="r") is None
    assert store.do(jobs.fail, zombie, ERROR, "r") is False
    assert store.do(jobs.cancelled, zombie, "r") is False
    assert store.do(jobs.succeed, zombie, reason="r") is False
    with pytest.raises(jobs.LeaseLost):
        store.publish(zombie)
    after = store.job(job_id)
    columns = Job.__table__.columns.keys()
    names = ["user_metadata" if name == "metadata" else name for name in columns]
    assert {name: getattr(after, name) for name in names} == {name: getattr(before, name) for name in names}
    assert len(store.events(job_id)) == len(history)
    assert store.do(metrics.history, job_id) == []
    assert store.publish(heir).attempt == 2


def test_a_finished_job_never_changes(store: Any) -> None:
    for end in (
        lambda claim: store.publish(claim),
        lambda claim: store.do(jobs.fail, claim, ERROR, "r"),
        lambda claim: store.do(jobs.cancelled, claim, "r"),
    ):
        claim = store.running(lease=-1)
        end(claim)
        status = store.status(claim.job_id)
        store.do(jobs.rescue_expired)
        store.do(jobs.cancel, claim.job_id)
        assert store.claim(claim.job_id) is None
        assert store.do(jobs.release, claim, crashed=True, reason="r") is None
        assert not store.do(jobs.heartbeat, claim, lease_seconds=60).held
        assert store.status(claim.job_id) == status


def test_doorbells_are_due_when_unrung_for_a_while(store: Any) -> None:
    job_id = store.submit()
    assert store.do(jobs.due_for_ring, 5, 10) == [], "the submitter has just rung"
    assert store.do(jobs.due_for_ring, -1, 10) == [(job_id, "default")]
    assert store.do(jobs.due_for_ring, 5, 10) == [], "and now it is noted"
    claim = store.claim(job_id)
    assert store.do(jobs.due_for_ring, -1, 10) == [], "nobody waits"
    store.do(jobs.release, claim, crashed=True, reason="r")
    assert store.do(jobs.due_for_ring, 5, 10) == [(job_id, "default")], "a returned job rings at once"


def test_pages_are_stable_while_jobs_are_added(store: Any) -> None:
    ids = [store.submit() for _ in range(5)]
    first, cursor = store.do(jobs.page, limit=2)
    store.submit()
    second, cursor = store.do(jobs.page, limit=2, cursor=cursor)
    third, end = store.do(jobs.page, limit=2, cursor=cursor)
    assert [job.id for job in first + second + third] == ids[::-1]
    assert end is None


def test_pages_are_complete_when_jobs_share_a_moment(store: Any) -> None:
    ids = sorted(store.submit() for _ in range(5))
    same = store.job(ids[0]).created_at
    store.do(lambda session: session.execute(update(Job).values(created_at=same)))
    seen, cursor = [], None
    while len(seen) < 10:
        page, cursor = store.do(jobs.page, limit=2, cursor=cursor)
        seen += [job.id for job in page]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_pages_can_be_filtered(store: Any, new_dataset: Any) -> None:
    plain = store.submit()
    tagged = store.submit(metadata={'te"am': "a", "run": "1"})
    other = store.submit(model="topic", metadata={'te"am': "b"})
    claim = store.claim(other)
    created = store.job(tagged).created_at

    def found(**filters: Any) -> list[str]:
        return [job.id for job in store.do(jobs.page, limit=10, **filters)[0]]

    assert found(status="running") == [claim.job_id]
    assert found(model="mood") == [tagged, plain]
    assert found(search="OPI") == [other] and found(search="LM-L6") == [other, tagged, plain]
    assert found(search=plain[8:]) == [plain] and found(search="_") == [other, tagged, plain]
    assert found(search="mo_d") == [] and found(search="%") == []
    assert found(dataset_id="ds_1") == [other, tagged, plain] and found(dataset_id="ds_2") == []
    assert found(created_after=created) == [other]
    assert found(metadata={'te"am': "a", "run": "1"}) == [tagged]
    assert found(metadata={'te"am': "a", "run": "2"}) == []
    assert store.do(jobs.counts) == {"queued": 2, "running": 1}


BAD_CURSORS = {
    "empty": "",
    "not base64": "!!!!",
    "not ascii": "é",
    "not JSON": "AAAA",
    "deep": "W1tb" * 2000,
    "long": "A" * 5000,
} | {
    name: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    for name, value in {
        "null": None,
        "numbers": [1, 2],
        "one part": ["2026-01-01T00:00:00+00:00"],
        "no time": ["a", "b"],
        "no zone": ["2026-01-01T00:00:00", "b"],
        "before time": ["0001-01-01T00:00:00+14:00", "b"],
    }.items()
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS.keys())
def test_a_bad_cursor_is_the_clients_fault(sqlite_store: Any, cursor: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        sqlite_store.do(jobs.page, limit=2, cursor=cursor)
    assert caught.value.code == "invalid-cursor"


def found(code: str, evidence: str) -> Diagnosis:
    return Diagnosis(
        code=code, severity="warning", title="t", evidence=evidence, observations=[], cause="c", changes=[]
    )


def test_a_diagnosis_is_told_once_and_shown_as_it_stands(store: Any) -> None:
    job_id = store.submit()
    claim = store.claim(job_id)
    for evidence in ("at step 10", "at step 20"):
        store.do(jobs.record, claim, jobs.Recorded(diagnoses=[found("overfitting", evidence)]))
    store.do(jobs.record, claim, jobs.Recorded())
    assert [each["evidence"] for each in store.job(job_id).diagnoses] == ["at step 20"]
    store.do(jobs.record, claim, jobs.Recorded(diagnoses=[]))
    assert store.job(job_id).diagnoses == []

    store.do(jobs.release, claim, crashed=False, reason="drained", error=None)
    again = store.claim(job_id)
    both = [found("overfitting", "at step 30"), found("plateau", "at step 30")]
    store.do(jobs.record, again, jobs.Recorded(diagnoses=both))
    told = [(event.attempt, event.data["code"]) for event in store.events(job_id) if event.type == "diagnosis"]
    assert told == [(1, "overfitting"), (2, "plateau")]
    assert [each["code"] for each in store.job(job_id).diagnoses] == ["overfitting", "plateau"]


def test_what_a_profile_gave_stays_beside_what_the_worker_decides(store: Any) -> None:
    given = [Resolution(field=name, value=1, reason="profile research") for name in ("batch_size", "seed")]
    job_id = store.submit(resolutions=given)
    claim = store.claim(job_id)
    decided = [Resolution(field="batch_size", value=8, reason="few rows")]
    store.do(jobs.record, claim, jobs.Recorded(resolutions=decided))
    told = {each["field"]: (each["value"], each["reason"]) for each in store.job(job_id).resolutions}
    assert told == {"seed": (1, "profile research"), "batch_size": (8, "few rows")}
