"""The loop's events reach the parent in the protocol's words; long silence is broken."""

import time

import pytest

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.jobs import BaseModelRef, JobWarning
from tests.worker.toy_task import Recording
from tests.worker.training.small import judged, wishes
from worker import events, narration
from worker.clock import PhaseClock
from worker.narration import Narrator
from worker.training.events import Evaluated, Recomputing, Split, Step, Stopped


def step(number: int, loss_scale: float | None = None) -> Step:
    return Step(number, number / 10, 0.5, 1e-3, 1.5, loss_scale, 100.0, 7.0, True)


def resolved(decided: ResolvedHyperparameters) -> events.Resolved:
    return events.Resolved(
        hyperparameters=decided,
        resolutions=[],
        total_steps=20,
        device="CPU",
        base_model=BaseModelRef(id="tiny", source="folder"),
    )


@pytest.fixture
def narrator(recording: Recording) -> Narrator:
    narrator = Narrator(recording)
    narrator.say(resolved(wishes(metric_for_best_model="accuracy")))
    recording.events.clear()
    return narrator


def test_steps_carry_the_total_and_the_loss_scale(narrator: Narrator, recording: Recording) -> None:
    narrator.tell(step(1))
    narrator.tell(step(2, loss_scale=1024.0))
    plain, scaled = recording.of(events.Stepped)
    assert (plain.step, plain.total_steps, plain.epoch, plain.values, plain.logged) == (1, 20, 0.1, {}, True)
    assert scaled.values == {"loss_scale": 1024.0}


def test_test_split_is_told_at_the_step_of_the_best_weights(narrator: Narrator, recording: Recording) -> None:
    narrator.tell(Evaluated(5, 0.5, judged(0.8), 0.8, improved=True))
    narrator.tell(Evaluated(10, 1.0, judged(0.7), 0.7, improved=False))
    narrator.tell(step(12))
    narrator.tell(Stopped("early_stopping", 12, 5))
    narrator.tell_test(judged(0.6))
    told = recording.of(events.Evaluated)
    assert [(event.step, event.epoch, event.metric_value, event.improved) for event in told] == [
        (5, 0.5, 0.8, True),
        (10, 1.0, 0.7, False),
        (5, 0.5, 0.6, False),
    ]


def test_without_validation_the_last_step_is_the_best(narrator: Narrator, recording: Recording) -> None:
    narrator.tell(step(12))
    narrator.tell(Stopped("completed", 12, 12))
    narrator.tell_test(judged(0.6))
    assert [(event.step, event.epoch) for event in recording.of(events.Evaluated)] == [(12, 1.2)]


def test_what_was_done_for_lack_of_memory_is_a_warning(narrator: Narrator, recording: Recording) -> None:
    narrator.tell(Split(3, 4))
    narrator.tell(Recomputing(3))
    narrator.tell_smaller_evaluation(32)
    narrator.warn(JobWarning(code="other", detail="something"))
    split, recomputing, smaller, other = recording.of(events.Warned)
    assert split.code == "batches-split"
    assert "4 parts" in split.detail
    assert (recomputing.code, smaller.code, other.code) == (
        "activations-recomputed",
        "evaluation-batches-halved",
        "other",
    )
    assert "eval_batch_size to 32" in (smaller.remedy or "")


def test_silence_is_broken_without_a_point_on_the_curves(
    narrator: Narrator, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrator.still_alive()
    narrator.tell(step(3))
    narrator.still_alive()
    assert len(recording.events) == 1
    monkeypatch.setattr(narration, "QUIET_SECONDS", -1.0)
    narrator.still_alive()
    repeated = recording.of(events.Stepped)[-1]
    assert repeated == recording.of(events.Stepped)[0].model_copy(update={"logged": False})


def test_clock_adds_up_to_the_wall() -> None:
    clock = PhaseClock()
    clock.start("preparing")
    clock.hold_gpus()
    with clock.starting():
        time.sleep(0.02)
    for phase in ("training", "evaluating", "exporting"):
        clock.start(phase)
    with clock.verifying():
        time.sleep(0.02)
    usage = clock.usage(gpus=1, peak_memory_mb=12.34, padding_fraction=0.123456)
    assert list(usage.phases) == ["preparing", "training", "evaluating", "exporting"]
    assert usage.wall_seconds == pytest.approx(sum(usage.phases.values()), abs=0.01)
    assert usage.gpu_seconds == pytest.approx(usage.wall_seconds, abs=0.01)
    assert (usage.train_seconds, usage.peak_memory_mb) == (usage.phases["training"], 12.3)
    assert usage.padding_fraction == 0.1235
    assert usage.breakdown is not None
    assert usage.breakdown.start is not None
    assert min(usage.breakdown.verify, usage.breakdown.start) >= 0.02
    assert sum(usage.parts.values()) == pytest.approx(usage.wall_seconds, abs=0.003)
    cheap = PhaseClock().usage(gpus=0, peak_memory_mb=0, padding_fraction=None)
    assert (cheap.gpu_seconds, cheap.padding_fraction) == (None, None)
