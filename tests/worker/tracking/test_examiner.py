"""A run under examination while it goes on."""

import math

import pytest

from app.schemas.datasets import DatasetProfile, SplitCounts, TextLengths
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.jobs import BaseModelRef
from app.schemas.metrics import ClassScores, Evaluation
from worker.events import Evaluated, Resolved, Stepped, Stopped
from worker.tracking import examiner
from worker.tracking.examiner import Examiner
from worker.tracking.points import SCALARS
from worker.tracking.recorder import Recorder

LABELS = ["a", "b", "c"]


def resolved():
    return Resolved(
        hyperparameters=ResolvedHyperparameters(
            num_train_epochs=10,
            batch_size=8,
            learning_rate=2e-5,
            head_learning_rate_multiplier=1.0,
            class_weights="none",
            dropout=0.1,
            max_length=32,
            precision="fp32",
            warmup_steps=0,
        ),
        resolutions=[],
        total_steps=1000,
        device="cpu",
        base_model=BaseModelRef(id="tiny", source="folder"),
    )


def step(number, loss):
    return Stepped(step=number, total_steps=1000, epoch=number / 100, loss=loss, learning_rate=2e-5)


def evaluated(epoch, loss, score, improved=True):
    scores = [ClassScores(label=label, precision=score, recall=score, f1=score, support=10) for label in LABELS]
    evaluation = Evaluation(
        split="validation",
        examples=30,
        per_class=scores,
        confusion_matrix=[[8, 1, 1], [1, 8, 1], [1, 1, 8]],
        **dict.fromkeys(SCALARS, score) | {"loss": loss},
    )
    return Evaluated(
        step=100 * epoch,
        epoch=epoch,
        evaluation=evaluation,
        metric_name="f1_macro",
        metric_value=score,
        improved=improved,
    )


def overfitted():
    """Six epochs: the training loss falls to nothing, the validation loss turns after the second."""
    recorded = [resolved()]
    for epoch, loss in enumerate((0.8, 0.6, 0.7, 0.8, 0.9, 1.0), start=1):
        recorded += [step(100 * (epoch - 1) + number, 0.9 / epoch - 0.05) for number in range(10, 101, 10)]
        recorded.append(evaluated(epoch, loss, 0.7, improved=epoch <= 2))
    return recorded


def heard(events):
    """Give what a recorder has to write of diagnoses, in order, None where it has nothing to say."""
    recorder, said = Recorder(), []
    for event in events:
        recorder.hear(event)
        said.append(next((entry.diagnoses for entry in recorder.take() if hasattr(entry, "diagnoses")), None))
    return recorder, said


def test_steps_alone_are_not_examined_and_evaluations_are():
    _, said = heard([resolved(), step(10, 1.0), evaluated(1, 0.9, 0.5)])
    assert said == [None, None, []]


def test_overfitting_is_found_while_the_run_goes_on():
    _, said = heard(overfitted())
    codes = [[diagnosis.code for diagnosis in found] for found in said if found is not None]
    assert codes[:2] == [[], []]
    assert codes[-1] == ["overfitting"]
    assert said[-1][0].changes[0].field == "num_train_epochs"


def test_a_loss_that_is_no_number_is_found_at_once():
    recorder, said = heard([resolved(), step(10, 1.0), step(20, 0.9), step(30, math.nan)])
    assert [diagnosis.code for diagnosis in said[-1]] == ["diverged"]
    assert said[-1][0].observations[-1].value is None
    recorder.conclude("training-diverged")
    (entry,) = recorder.take()
    assert [diagnosis.code for diagnosis in entry.diagnoses] == ["diverged"]


def test_a_failure_before_the_first_step_has_no_diagnosis():
    recorder, _ = heard([resolved()])
    recorder.conclude("no-training-rows")
    assert recorder.take() == []


def test_what_counts_only_at_the_end_is_said_at_the_end():
    rising = [resolved()]
    for epoch in range(1, 5):
        rising += [step(100 * (epoch - 1) + number, 1 / epoch - number / 400) for number in range(10, 101, 10)]
        rising.append(evaluated(epoch, 0.9 / epoch, 0.5 + 0.08 * epoch))
    _, said = heard([*rising, Stopped(reason="completed", step=400, best_step=400)])
    assert all(found == [] for found in said[:-1] if found is not None)
    assert [diagnosis.code for diagnosis in said[-1]] == ["early_stop_too_early"]


def test_the_profile_of_the_data_is_taken_into_account():
    one_sided = Evaluation(
        split="validation",
        examples=30,
        per_class=[
            ClassScores(label="a", precision=0.6, recall=1.0, f1=0.75, support=18),
            ClassScores(label="b", precision=0.0, recall=0.0, f1=0.0, support=12),
        ],
        confusion_matrix=[[18, 0], [12, 0]],
        **dict.fromkeys(SCALARS, 0.6) | {"f1_macro": 0.37},
    )
    counts = SplitCounts(total=300, by_label={"a": 180, "b": 120})
    profile = DatasetProfile(
        labels=["a", "b"],
        splits={"train": counts},
        text_lengths=TextLengths(p50=1, p90=1, p99=1, max=1),
        duplicates=0,
        majority_baseline=0.6,
        warnings=[],
    )
    found = Examiner()
    found.know(profile)
    found.see(resolved(), [])
    event = evaluated(1, 0.7, 0.37).model_copy(update={"evaluation": one_sided})
    found.see(event, [])
    diagnosis = next(
        each for each in found.see(Stopped(reason="completed", step=9, best_step=9), []) if each.code == "imbalanced"
    )
    assert "b" in diagnosis.evidence


@pytest.mark.parametrize("steps", [50, 5_000])
def test_memory_does_not_grow_with_the_run(steps, monkeypatch):
    monkeypatch.setattr(examiner, "MOST_POINTS", 100)
    curve = examiner._Thinned()
    for number in range(1, steps + 1):
        curve.add(examiner.Point("train/loss", number, 0.0, math.nan if number == 4_001 else 1.0))
    assert len(curve.points) == 50 if steps == 50 else 50 <= len(curve.points) <= 101
    assert curve.points[0].step == 1
    assert steps - curve.points[-1].step < curve.stride
