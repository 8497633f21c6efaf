"""From a child's events to what the store is told."""

import math

import pytest

from app.schemas.jobs import BestMetric, Progress
from app.schemas.metrics import ClassScores, Evaluation
from app.store.jobs import Recorded
from worker.events import Evaluated, PhaseStarted, Stepped, Stopped, Warned
from worker.tracking import sentences
from worker.tracking.points import MOST_LABEL_CURVES, SCALARS
from worker.tracking.recorder import Recorder


class Time:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def step(number, total=100, **values):
    return Stepped(step=number, total_steps=total, epoch=number / 50, learning_rate=1e-4, **({"loss": 0.5} | values))


def evaluated(value, *, improved, split="validation", labels=2, step=50):
    classes = [
        ClassScores(label=f"label-{number}", precision=0.1, recall=0.2, f1=0.3, support=5) for number in range(labels)
    ]
    evaluation = Evaluation(
        split=split,
        examples=10,
        per_class=classes,
        confusion_matrix=[[0] * labels] * labels,
        **dict.fromkeys(SCALARS, value),
    )
    return Evaluated(
        step=step, epoch=1.0, evaluation=evaluation, metric_name="f1_macro", metric_value=value, improved=improved
    )


def told(recorder):
    """Give everything taken, as one batch, phases left out."""
    (batch,) = [entry for entry in recorder.take() if isinstance(entry, Recorded)]
    return batch


def test_steps_become_curves_progress_and_a_sentence():
    recorder = Recorder()
    recorder.hear(step(10, loss=0.9, grad_norm=2.0, examples_per_second=40.0, eta_seconds=170.0, values={"scale": 2.0}))
    batch = told(recorder)
    assert {point.name: point.value for point in batch.points} == {
        "train/loss": 0.9,
        "train/learning_rate": 1e-4,
        "train/grad_norm": 2.0,
        "train/examples_per_second": 40.0,
        "train/scale": 2.0,
    }
    assert batch.last_metrics["train/loss"] == 0.9
    assert (batch.progress.step, batch.progress.total_steps, batch.progress.eta_seconds) == (10, 100, 170.0)
    assert batch.progress.fraction == pytest.approx(0.094)
    assert batch.status_reason == "Training: step 10 of 100, about 3 minutes left."


def test_silent_steps_move_the_progress_and_draw_no_point():
    recorder = Recorder()
    recorder.hear(step(10, logged=False))
    batch = told(recorder)
    assert batch.progress.step == 10
    assert batch.points == []


def test_what_is_not_finite_draws_no_point():
    recorder = Recorder()
    recorder.hear(step(10, loss=math.nan, grad_norm=math.inf))
    assert [point.name for point in told(recorder).points] == ["train/learning_rate"]


def test_step_events_come_once_a_second_and_rarer_as_a_run_grows_old():
    time = Time()
    recorder = Recorder(clock=time)

    def events_in(seconds):
        for _ in range(seconds * 10):
            time.now += 0.1
            recorder.hear(step(1))
        return len(told(recorder).events)

    assert events_in(10) == pytest.approx(10, abs=1)
    time.now = 20_000.0
    assert events_in(1000) == pytest.approx(10, abs=1)


def test_every_point_is_kept_however_rare_the_events():
    time = Time()
    recorder = Recorder(clock=time)
    for number in range(50):
        recorder.hear(step(number))
    batch = told(recorder)
    assert len([point for point in batch.points if point.name == "train/loss"]) == 50
    assert len(batch.events) == 1
    assert batch.progress.step == 49


def test_the_best_validation_counts_and_the_test_is_kept_beside_it():
    recorder = Recorder()
    recorder.hear(evaluated(0.8, improved=True, step=50))
    recorder.hear(evaluated(0.7, improved=False, step=100))
    recorder.hear(evaluated(0.75, improved=False, split="test", step=100))
    batch = told(recorder)
    assert batch.best_metric == BestMetric(name="f1_macro", value=0.8, step=50, epoch=1.0)
    assert batch.evaluations["validation"].f1_macro == 0.8
    assert batch.evaluations["test"].f1_macro == 0.75
    curve = [(point.step, point.value) for point in batch.points if point.name == "eval/f1_macro"]
    assert curve == [(50, 0.8), (100, 0.7)]
    assert {"eval/f1:label-0", "eval/f1:label-1", "eval/loss"} <= {point.name for point in batch.points}
    assert [event.data["split"] for event in batch.events] == ["validation", "validation", "test"]
    assert all("confusion_matrix" not in str(event.data) for event in batch.events)


def test_very_many_labels_make_no_curves_of_their_own():
    recorder = Recorder()
    recorder.hear(evaluated(0.5, improved=True, labels=MOST_LABEL_CURVES + 1))
    assert not [point for point in told(recorder).points if point.name.startswith("eval/f1:")]


def test_phases_part_the_batches_and_a_repeated_one_is_no_news():
    recorder = Recorder()
    recorder.enter("preparing")
    recorder.hear(PhaseStarted(phase="preparing"))
    recorder.hear(PhaseStarted(phase="training"))
    recorder.hear(step(1))
    recorder.hear(Stopped(reason="early_stopping", step=9, best_step=5))
    entries = recorder.take()
    assert [entry for entry in entries if isinstance(entry, str)] == ["preparing", "training"]
    assert entries[-1].stop_reason == "early_stopping"
    assert [event.type for event in entries[-1].events] == ["step", "stopped"]


def test_the_bar_never_moves_back_after_training():
    recorder = Recorder()
    recorder.hear(step(100))
    for phase in ("evaluating", "exporting", "publishing"):
        before = recorder.progress.fraction
        recorder.enter(phase)
        assert recorder.progress.fraction > before


def test_what_could_not_be_written_comes_again_before_what_came_later():
    recorder = Recorder()
    recorder.hear(Warned(code="first", detail="d"))
    unwritten = recorder.take()
    recorder.hear(Warned(code="second", detail="d"))
    recorder.put_back(unwritten)
    assert [warning.code for warning in told(recorder).warnings] == ["first", "second"]


@pytest.mark.parametrize(
    ("progress", "best", "sentence"),
    [
        (
            Progress(step=120, total_steps=300, epoch=1.4, num_train_epochs=5, eta_seconds=20.0),
            None,
            "Training: epoch 2 of 5, step 120 of 300, less than a minute left.",
        ),
        (
            Progress(step=300, total_steps=300, epoch=5.0, num_train_epochs=5, eta_seconds=0.0),
            BestMetric(name="accuracy", value=0.91234, step=9, epoch=1.0),
            "Training: epoch 5 of 5, step 300 of 300, best accuracy 0.912, less than a minute left.",
        ),
        (Progress(step=0, total_steps=3, epoch=0.0, num_train_epochs=1), None, "Training: epoch 1 of 1, step 0 of 3."),
    ],
)
def test_sentences(progress, best, sentence):
    assert sentences.of_step(progress, best) == sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "less than a minute"),
        (60, "about 1 minute"),
        (200, "about 3 minutes"),
        (3601, "about 1 hour"),
        (9000, "about 2 hours"),
    ],
)
def test_durations_are_rounded_as_people_do(seconds, words):
    assert sentences.duration(seconds) == words
