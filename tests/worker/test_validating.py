"""What the best weights answered to the validation rows is asked for once, and only where it is the same."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from tests.worker.toy_task import MakeSpec, Recording, Row, toy_moods, toy_rows
from worker.calibrating import settle
from worker.judging import Judge
from worker.memory import Portion
from worker.narration import Narrator
from worker.setup import Setup, set_up
from worker.validating import Validation

pytestmark = pytest.mark.usefixtures("restored_torch")

ROWS = [*toy_rows(12), *toy_rows(120, split="validation")]
MOODS = [*toy_moods(12), *(Row(row.text, row.label, "validation") for row in toy_moods(110))]
SEVERAL = {"family": {"type": "multitask", "tasks": {"mood": {"dataset_id": "ds_mood", "loss_weight": 0.5}}}}


def spoil(setup: Setup, value: float) -> None:
    with torch.no_grad():
        for parameter in setup.model.parameters():
            parameter.add_(value)


@pytest.mark.parametrize("tasks", [{}, {"mood": MOODS}])
def test_the_answers_of_the_best_weights_are_those_that_would_be_asked_for(
    make_spec: MakeSpec, tasks: dict[str, list[Row]]
) -> None:
    spec = make_spec(ROWS, tasks=tasks, request=SEVERAL if tasks else None, eval_batch_size=7, precision="fp32")
    setup = set_up(spec, Narrator(Recording()), lambda: None)
    judge = Judge.of(spec, setup.data.hyperparameters, setup.device, Portion(7, lambda _: None), lambda: None)
    validation = Validation(setup, judge)
    scores = validation.evaluate(setup.model, nullcontext)
    validation.keep()
    asked = settle(spec, setup, judge, scores)
    spoil(setup, 0.01)
    worse = validation.evaluate(setup.model, nullcontext)
    assert worse.loss != scores.loss, "other weights, of which nothing is kept"
    spoil(setup, float("nan"))
    known = settle(spec, setup, judge, scores, validation.answered)
    assert asked.answered is not None and known.answered is not None
    assert np.array_equal(known.answered.logits, asked.answered.logits)
    assert known.answered.evaluation == asked.answered.evaluation == scores.model_copy(update={"tasks": {}})
    assert [*known.task_answers] == [*asked.task_answers] == [*tasks]
    for task, own in known.task_answers.items():
        assert np.array_equal(own.logits, asked.task_answers[task].logits)
    assert known.decision == asked.decision
    assert known.decision.temperature != 1.0
    assert known.validation == asked.validation


def test_in_less_than_fp32_nothing_is_kept(make_spec: MakeSpec) -> None:
    spec = make_spec(ROWS, precision="bf16")
    setup = set_up(spec, Narrator(Recording()), lambda: None)
    judge = Judge.of(spec, setup.data.hyperparameters, setup.device, Portion(7, lambda _: None), lambda: None)
    validation = Validation(setup, judge)
    validation.evaluate(setup.model, lambda: torch.autocast("cpu", torch.bfloat16))
    validation.keep()
    assert validation.answered(None) is None
