"""A case: one run as the rules look at it, its curves and its circumstances side by side."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from app.doctor.facts import Facts
from app.doctor.history import Curve, History, Point, extreme

TRAIN_LOSS = "train/loss"
EVAL_LOSS = "eval/loss"
GRAD_NORM = "train/grad_norm"
THROUGHPUT = "train/examples_per_second"

FALLBACK_METRICS = ("eval/f1_macro", "eval/accuracy", "eval/f1_weighted")


@dataclass(frozen=True, slots=True)
class Fit:
    """Training and validation loss at one evaluation."""

    step: int
    epoch: float
    train: float
    """Mean of the training loss since the evaluation before."""
    validation: float

    @property
    def gap(self) -> float:
        """Say how much better the model does on what it has seen."""
        return self.validation - self.train


class Case:
    """One run under examination."""

    def __init__(self, history: History, facts: Facts) -> None:
        self.history = history
        self.facts = facts

    @cached_property
    def train_loss(self) -> Curve:
        """Give the curve of the training loss."""
        return self.history.curve(TRAIN_LOSS)

    @cached_property
    def eval_loss(self) -> Curve:
        """Give the curve of the validation loss."""
        return self.history.curve(EVAL_LOSS)

    @cached_property
    def loss(self) -> Curve:
        """Give the loss whose height means something: in training, else on the validation split.

        A focal loss, that of a student and the sum over several tasks have other heights than cross-entropy.
        """
        return self.train_loss if len(self.train_loss) and self.facts.losses_are_alike else self.eval_loss

    @property
    def resting(self) -> float:
        """Give ``loss`` of a perfect model: labels are smoothed in training alone."""
        return self.facts.resting_loss if self.loss is self.train_loss else 0.0

    @cached_property
    def metric(self) -> Curve:
        """Give the curve of the metric that picks the checkpoint, or of one that says much the same."""
        wanted = (f"eval/{self.facts.metric_name}", *FALLBACK_METRICS, EVAL_LOSS)
        return next((curve for name in wanted if len(curve := self.history.curve(name))), Curve(wanted[0]))

    @property
    def smaller_is_better(self) -> bool:
        """Say whether the metric is a loss."""
        return self.metric.name == EVAL_LOSS

    @property
    def best(self) -> Point:
        """Give the evaluation with the best metric; there must be one."""
        return extreme(self.metric.points, min if self.smaller_is_better else max)

    def gain(self, before: float, after: float) -> float:
        """Say how much better ``after`` is than ``before``; losses are put in units of the loss of chance."""
        return (before - after) / self.chance if self.smaller_is_better else after - before

    @cached_property
    def chance(self) -> float:
        """Give the loss of a model that knows nothing; where labels are unknown, the loss it began with stands in."""
        known = self.facts.chance_loss
        if known is not None:
            return known
        return max(self.loss.first.value, 0.05) if len(self.loss) else 1.0

    def height(self, loss: float, *, resting: float = 0.0) -> float:
        """Put a loss on a scale from 0 (perfect, ``resting``) to 1 (chance)."""
        return (loss - resting) / max(self.chance - resting, 0.05)

    @cached_property
    def fits(self) -> list[Fit]:
        """Pair each validation loss with the training loss since the evaluation before, where both mean the same."""
        if not self.facts.losses_are_alike:
            return []
        fits, previous = [], None
        for point in self.eval_loss.points:
            train = self._train_loss_between(previous, point.step)
            if train is not None:
                fits.append(Fit(point.step, point.epoch, train, point.value))
            previous = point.step
        return fits

    def _train_loss_between(self, after: int | None, until: int) -> float | None:
        """Average the training loss of one stretch; of the first one only the later half, for it begins at chance."""
        end = bisect_right(self._train_steps, until)
        begin = bisect_right(self._train_steps, after) if after is not None else end // 2
        values = self.train_loss.values[min(begin, max(end - 1, 0)) : end]
        return fmean(values) if values else None

    @cached_property
    def _train_steps(self) -> list[int]:
        return [point.step for point in self.train_loss.points]
