"""Judging the validation splits while training goes on, and remembering what the best weights answered to them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import nn

from app.schemas.metrics import Evaluation, TaskEvaluation
from worker.data.batches import Batches
from worker.judging import Answered, Judge
from worker.setup import Setup

MOST_KEPT = 5_000_000
"""Logits of a split that are kept; they may lie twice in memory while training goes on, 20 MB each time."""


class Validation:
    """The validation splits of a job, by the task's name; that of the main task is None.

    What is decided about a version after its training, a temperature first, is decided on the answers of its weights in
    fp32. An evaluation in fp32 has just got those, so that nobody needs to ask for them again.
    """

    def __init__(self, setup: Setup, judge: Judge) -> None:
        self._setup = setup
        self._exact = setup.data.hyperparameters.precision == "fp32"
        self._splits: dict[str | None, tuple[Judge, Batches]] = {}
        if setup.data.validation is not None:
            self._splits[None] = (judge, setup.data.validation)
        for task in setup.tasks:
            if task.validation is not None:
                self._splits[task.head.name] = (judge.of_task(task.head), task.validation)
        self._newest: dict[str | None, Answered] = {}
        self._best: dict[str | None, Answered] = {}

    def evaluate(self, model: nn.Module, autocast: Callable[[], AbstractContextManager[None]]) -> Evaluation:
        """Score every row of every split; of several tasks the main one's, with the others' in it."""
        asked = self._setup.packed or model
        self._newest = {}
        found = {name: self._judged(name, asked, autocast) for name in self._splits}
        tasks = {
            name: TaskEvaluation.model_validate(own.model_dump(exclude={"tasks"}))
            for name, own in found.items()
            if name is not None
        }
        return found[None].model_copy(update={"tasks": tasks})

    def _judged(
        self, name: str | None, model: nn.Module, autocast: Callable[[], AbstractContextManager[None]]
    ) -> Evaluation:
        judge, batches = self._splits[name]
        if not self._exact or len(batches) * len(judge.labels) > MOST_KEPT:
            return judge.evaluate(model, batches, "validation", autocast)
        answered = self._newest[name] = judge.answer(model, batches, "validation")
        return answered.evaluation

    def keep(self) -> None:
        """Take the newest evaluation for that of the best weights."""
        self._best = self._newest

    def answered(self, name: str | None) -> Answered | None:
        """Give what the best weights answered to a split; None where they were judged in another attempt or way."""
        return self._best.get(name)
