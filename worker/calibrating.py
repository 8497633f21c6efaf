"""Settling how a version decides, once its weights are: a temperature for each task, then thresholds of labels.

Both are found on the validation split, in this order, because thresholds are held against calibrated probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.schemas.decisions import Decision
from app.schemas.metrics import Calibration, Evaluation, TaskEvaluation
from app.serving.decision import Logits, probabilities
from worker.data.batches import Batches
from worker.evaluation.calibration import FEWEST_ROWS, fit_temperature, measure
from worker.evaluation.label_sets import best_thresholds
from worker.events import AttemptSpec
from worker.judging import Answered, Judge
from worker.setup import Setup


@dataclass(frozen=True, slots=True)
class Settled:
    """How the version decides, and what that made of the validation split."""

    judge: Judge
    """Of the main task."""
    further: dict[str, Judge]
    """Of the further tasks, by name."""
    decision: Decision
    validation: Evaluation | None
    answered: Answered | None = field(repr=False)
    """The answers to the validation split."""
    task_answers: dict[str, Answered] = field(repr=False)
    """The answers of the further tasks to the validation splits of their own datasets, by name."""


def settle(
    spec: AttemptSpec,
    setup: Setup,
    judge: Judge,
    validation: Evaluation | None,
    known: Callable[[str | None], Answered | None] = lambda _: None,
) -> Settled:
    """Fit temperatures, tune thresholds where the job wants it, and judge the validation split by both.

    ``validation`` are the scores that the training kept; without that split nothing is fitted. ``known`` gives what the
    model's weights have answered already to the validation split of a task, None being the main one.
    """
    wishes = spec.request.decision
    further = {task.head.name: judge.of_task(task.head) for task in setup.tasks}
    splits: dict[str, Batches | None] = {task.head.name: task.validation for task in setup.tasks}
    notes: dict[str, str | None] = {}
    main, answered, notes[judge.head.name if judge.head else ""] = _fitted(
        spec, setup, judge, setup.data.validation, known(None)
    )
    task_answers: dict[str, Answered] = {}
    for name, own in further.items():
        further[name], found, notes[name] = _fitted(spec, setup, own, splits[name], known(name))
        if found is not None:
            task_answers[name] = found
    if answered is not None and spec.problem_type == "multi_label":
        if setup.data.hyperparameters.thresholds == "tuned":
            marks = answered.truth.astype(np.bool_)
            main = replace(main, thresholds=best_thresholds(answered.logits, marks, main.temperature))
        validation = main.judged(answered, "validation")
    bound = wishes.abstain_below
    if validation is not None and answered is not None:
        tasks = {
            name: task.model_copy(update={"calibration": calibration_of(further[name], task_answers[name], bound)})
            for name, task in validation.tasks.items()
            if name in task_answers
        }
        validation = validation.model_copy(
            update={"calibration": calibration_of(main, answered, bound), "tasks": validation.tasks | tasks}
        )
    decision = Decision(
        temperature=main.temperature,
        task_temperatures={name: own.temperature for name, own in further.items()},
        rows=len(answered.logits) if answered is not None and next(iter(notes.values())) is None else 0,
        note=_told(notes),
        abstain_below=bound,
        top_k=wishes.top_k,
    )
    return Settled(main, further, decision, validation, answered, task_answers)


def calibrated(judge: Judge, answered: Answered, abstain_below: float | None) -> Evaluation:
    """Give the evaluation of a split with what is to be said of its probabilities."""
    return answered.evaluation.model_copy(update={"calibration": calibration_of(judge, answered, abstain_below)})


def calibrated_task(judge: Judge, answered: Answered, abstain_below: float | None) -> TaskEvaluation:
    """Do the same for a further task."""
    return TaskEvaluation.model_validate(calibrated(judge, answered, abstain_below).model_dump(exclude={"tasks"}))


def calibration_of(judge: Judge, answered: Answered, abstain_below: float | None) -> Calibration:
    """Judge the probabilities of a split, before and after the temperature."""
    logits, truth = answered.logits, _truth(judge, answered)
    plain = judge.temperature == 1.0
    abstained, rest = _abstention(judge, logits, truth, abstain_below)
    return Calibration(
        rows=len(logits),
        temperature=judge.temperature,
        before=measure(logits, truth),
        after=None if plain else measure(logits, truth, judge.temperature),
        abstained=abstained,
        accuracy_of_rest=rest,
    )


def _fitted(
    spec: AttemptSpec, setup: Setup, judge: Judge, batches: Batches | None, known: Answered | None
) -> tuple[Judge, Answered | None, str | None]:
    """Give the judge with its temperature, what was answered to the split, and why nothing was fitted."""
    if batches is None:
        return judge, None, "there is no validation split"
    answered = known or judge.answer(setup.asked, batches, "validation")
    if not spec.request.decision.calibrate:
        return judge, answered, "the job asked for none"
    if len(answered.logits) < FEWEST_ROWS:
        return judge, answered, f"its {len(answered.logits)} validation rows are fewer than {FEWEST_ROWS}"
    return replace(judge, temperature=fit_temperature(answered.logits, _truth(judge, answered))), answered, None


def _truth(judge: Judge, answered: Answered) -> NDArray[np.int64] | NDArray[np.bool_]:
    if judge.thresholds is None:
        return answered.truth.astype(np.int64)
    return answered.truth.astype(np.bool_)


def _abstention(
    judge: Judge, logits: Logits, truth: NDArray[np.int64] | NDArray[np.bool_], below: float | None
) -> tuple[float | None, float | None]:
    if below is None or judge.thresholds is not None:
        return None, None
    scores = probabilities(logits, judge.temperature)
    kept = scores.max(axis=1) >= below
    right = scores.argmax(axis=1) == truth
    return float(1 - kept.mean()), float(right[kept].mean()) if kept.any() else None


def _told(notes: dict[str, str | None]) -> str | None:
    """Say why temperatures were left at 1."""
    reasons: Sequence[str] = [f"{name}: {note}" if name else note for name, note in notes.items() if note is not None]
    return f"No temperature was fitted ({'; '.join(reasons)})." if reasons else None
