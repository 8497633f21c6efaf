"""Judging answers, whatever the labels are: one a row, or any number of them with a threshold each."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.metrics import Evaluation
from app.serving.decision import EVEN, Logits, each_probability
from worker.batch import Batch
from worker.data.batches import Batches
from worker.evaluation.evaluate import ask, evaluate
from worker.evaluation.label_sets import Truth, answers, score_sets
from worker.evaluation.metrics import confusion_matrix, cross_entropy, score
from worker.events import AttemptSpec
from worker.heads import Head, heads_of
from worker.memory import Portion
from worker.models.multitask import OneHead
from worker.training.loop import Autocast

MOST_LOGITS = 50_000_000
"""Logits that are held at once; of a split with more, only its first rows are remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A judged split, and what was answered to its first rows, usually all of them."""

    evaluation: Evaluation
    logits: Logits  # (rows, labels)
    truth: NDArray[np.generic]  # (rows,); of multi_label (rows, labels)


@dataclass(frozen=True, slots=True)
class Judge:
    """How the answers of one job are judged."""

    labels: Sequence[str]
    device: torch.device
    portion: Portion
    """Texts that go through the model at once."""
    check: Callable[[], None]
    """Called before each batch; may raise to stop."""
    thresholds: list[float] | None
    """Of multi_label: the probability from which each label is given; None: a row has one label."""
    head: Head | None = None
    """Of a model with several tasks: which of its logits are judged."""
    temperature: float = 1.0
    """What logits are divided by before they become probabilities; decides nothing where a row has one label."""

    @classmethod
    def of(
        cls,
        spec: AttemptSpec,
        wishes: ResolvedHyperparameters,
        device: torch.device,
        portion: Portion,
        check: Callable[[], None],
    ) -> "Judge":
        """Make the judge of a job's (main) task; thresholds that are still to be tuned are 0.5."""
        head = heads_of(spec)[0] if spec.tasks else None
        thresholds = None if spec.problem_type == "single_label" else _fixed(wishes, spec.labels)
        return cls(spec.labels, device, portion, check, thresholds, head)

    def of_task(self, head: Head) -> "Judge":
        """Make the judge of a further task."""
        return replace(self, labels=head.labels, head=head, temperature=1.0)

    def evaluate(self, model: nn.Module, batches: Batches, split: str, autocast: Autocast = nullcontext) -> Evaluation:
        """Score every row of a split. Leaves the model in evaluation mode."""
        thresholds = self.thresholds
        if thresholds is None:
            asked = model if self.head is None else OneHead(model, self.head)
            return self.portion.of(lambda size: self._evaluate(asked, batches.by_length(size), split, autocast))
        logits, truth = self._answers(model, batches, autocast)
        return score_sets(logits, truth, self.labels, thresholds, split=split, temperature=self.temperature)

    def answer(self, model: nn.Module, batches: Batches, split: str) -> Answered:
        """Score every row of a split in fp32, and give the answers too, in the order of the rows."""
        most = MOST_LOGITS // len(self.labels)
        asked = model if self.head is None else OneHead(model, self.head)
        logits, truth = self.portion.of(lambda size: self._in_order(asked, batches, min(most, len(batches)), size))
        if len(batches) > most:
            return Answered(self.evaluate(model, batches, split), logits, truth)
        return Answered(self._scored(logits, truth, split), logits, truth)

    def judged(self, answered: Answered, split: str) -> Evaluation:
        """Score answers once more, as this judge decides on them; where only the first rows were kept, on those."""
        return self._scored(answered.logits, answered.truth, split)

    def _in_order(
        self, model: nn.Module, batches: Batches, count: int, size: int
    ) -> tuple[Logits, NDArray[np.generic]]:
        """Ask the longest first, and put the answers back into the order of the rows."""
        rows = [own for rows in batches.longest_first(size) if (own := rows[rows < count]).size]
        logits, truth = ask(model, map(batches.load, rows), device=self.device, check=self.check)
        back = np.argsort(np.concatenate(rows), kind="stable")
        return logits[back], truth[back]

    def _scored(self, logits: Logits, truth: NDArray[np.generic], split: str) -> Evaluation:
        if self.thresholds is not None:
            return score_sets(
                logits,
                truth.astype(np.bool_),
                self.labels,
                self.thresholds,
                split=split,
                temperature=self.temperature,
            )
        index = truth.astype(np.int64)
        matrix = confusion_matrix(index, logits.argmax(axis=1), len(self.labels))
        return score(matrix, self.labels, split=split, loss=cross_entropy(logits, index))

    def _evaluate(self, model: nn.Module, ordered: Iterable[Batch], split: str, autocast: Autocast) -> Evaluation:
        return evaluate(
            model, ordered, self.labels, split=split, device=self.device, autocast=autocast, check=self.check
        )

    def _answers(self, model: nn.Module, batches: Batches, autocast: Autocast) -> tuple[Logits, Truth]:
        return self.portion.of(
            lambda size: answers(
                model, batches.by_length(size), device=self.device, autocast=autocast, check=self.check
            )
        )

    def score(self, logits: NDArray[np.float32], truth: NDArray[np.generic]) -> Evaluation:
        """Score answers of the validation split that someone else got; single_label: without a loss."""
        if self.thresholds is None:
            own = logits if self.head is None else logits[:, self.head.columns]
            matrix = confusion_matrix(truth.astype(np.int64), own.argmax(axis=1), len(self.labels))
            return score(matrix, self.labels, split="validation", loss=0.0)
        return score_sets(
            logits,
            truth.astype(bool),
            self.labels,
            self.thresholds,
            split="validation",
            temperature=self.temperature,
        )

    def decide(self, logits: NDArray[np.float32]) -> NDArray[np.int64] | NDArray[np.bool_]:
        """Answer logits, (rows, labels), as the version will: with a label each, or with which of them are given."""
        if self.thresholds is None:
            best: NDArray[np.int64] = logits.argmax(axis=1)
            return best
        given: NDArray[np.bool_] = each_probability(logits, self.temperature) >= np.asarray(self.thresholds)
        return given


def _fixed(wishes: ResolvedHyperparameters, labels: Sequence[str]) -> list[float]:
    wish = wishes.thresholds
    if isinstance(wish, dict):
        return [wish.get(label, EVEN) for label in labels]
    return [EVEN if wish == "tuned" else wish] * len(labels)
