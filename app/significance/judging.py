"""Judges answers: how sure their scores are, and whether one model's are better than another's on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.schemas.judgements import Interval, Intervals, PairedComparison, Verdict
from app.significance.answers import Answers, Marks
from app.significance.bootstrap import (
    RESAMPLES,
    Weights,
    f1_of_indices,
    f1_of_marks,
    intervals,
    kinds_of,
)
from app.significance.mcnemar import mid_p

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two models' answers to the rows that both have seen, in one space of labels."""

    first: Answers
    second: Answers
    rows_of_first: int
    """Rows that the first answered in all."""
    rows_of_second: int
    places: NDArray[np.int64]
    """(rows,): where each of them is in the first's split."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def complete(self) -> bool:
        """Say whether both were judged on the very same rows."""
        return len(self) == self.rows_of_first == self.rows_of_second


def intervals_of(answers: Answers) -> Intervals | None:
    """Give the intervals of accuracy and macro F1; None where no row was answered."""
    if not len(answers):
        return None
    chosen, kinds = kinds_of(_columns(answers.truth, answers.given))
    f1, right = _f1(answers, answers.given, chosen), answers.right[chosen]
    rows = len(answers)
    accuracy, f1_macro = intervals(kinds, lambda weights: (float(weights[right].sum()) / rows, f1(weights)))
    return Intervals(split=answers.split, rows=rows, resamples=RESAMPLES, accuracy=accuracy, f1_macro=f1_macro)


def f1_macro(answers: Answers) -> float:
    """Give the macro F1 of answers, as evaluations have it."""
    chosen, kinds = kinds_of(_columns(answers.truth, answers.given))
    return _f1(answers, answers.given, chosen)(np.bincount(kinds).astype(np.float64))


def compare(first: Answers, second: Answers) -> PairedComparison:
    """Compare two models row by row; both must have answered the same rows in the same order, at least one."""
    better = int((first.right & ~second.right).sum())
    worse = int((second.right & ~first.right).sum())
    chosen, kinds = kinds_of(_columns(first.truth, first.given, second.given))
    one, other = _f1(first, first.given, chosen), _f1(first, second.given, chosen)
    whole = np.bincount(kinds).astype(np.float64)
    difference = one(whole) - other(whole)
    ahead = (first.right.astype(np.float64) - second.right)[chosen]
    in_accuracy, in_f1 = intervals(
        kinds, lambda weights: (float(weights @ ahead) / len(first), one(weights) - other(weights))
    )
    p_value = mid_p(better, worse)
    return PairedComparison(
        rows=len(first),
        better=better,
        worse=worse,
        p_value=p_value,
        accuracy_difference=(better - worse) / len(first),
        accuracy_verdict=_verdict(better - worse, noise=p_value >= SIGNIFICANT),
        f1_macro_difference=difference,
        accuracy_interval=in_accuracy,
        f1_macro_interval=in_f1,
        f1_macro_verdict=_verdict(difference, noise=_holds_zero(in_f1)),
    )


def pair(first: Answers, second: Answers) -> Pair:
    """Find the rows that two models have both answered, whatever the order; labels are matched by name."""
    _, mine, others = np.intersect1d(first.keys, second.keys, assume_unique=True, return_indices=True)
    order = np.argsort(mine, kind="stable")
    mine, others = mine[order], others[order]
    labels = list(dict.fromkeys([*first.labels, *second.labels]))
    if first.several != second.several:
        mine, others = mine[:0], others[:0]
    return Pair(
        _chosen(first, mine, labels),
        _chosen(second, others, labels),
        rows_of_first=len(first),
        rows_of_second=len(second),
        places=mine,
    )


def _chosen(answers: Answers, rows: NDArray[np.int64], labels: list[str]) -> Answers:
    """Keep some rows, with the labels numbered as in ``labels``."""
    places = np.array([labels.index(label) for label in answers.labels])

    def moved(values: NDArray[np.int64] | Marks) -> NDArray[np.int64] | Marks:
        if not answers.several:
            renumbered: NDArray[np.int64] = places[values[rows]]
            return renumbered
        wide = np.zeros((len(rows), len(labels)), dtype=np.bool_)
        wide[:, places] = values[rows]
        return wide

    return Answers(
        split=answers.split,
        labels=labels,
        several=answers.several,
        keys=answers.keys[rows],
        truth=moved(answers.truth),
        given=moved(answers.given),
        probabilities=answers.probabilities[rows],
    )


def _columns(*values: NDArray[np.int64] | Marks) -> NDArray[np.generic]:
    """Lay truth and answers side by side; marks as bits, so that rows of many labels stay short."""
    if values[0].ndim == 1:
        return np.stack(values, axis=1)
    return np.concatenate([np.packbits(each, axis=1) for each in values], axis=1)


def _f1(answers: Answers, given: NDArray[np.int64] | Marks, chosen: NDArray[np.int64]) -> Callable[[Weights], float]:
    if answers.several:
        return f1_of_marks(answers.truth[chosen].astype(np.bool_), given[chosen].astype(np.bool_))
    return f1_of_indices(answers.truth[chosen].astype(np.int64), given[chosen].astype(np.int64), len(answers.labels))


def _verdict(difference: float, *, noise: bool) -> Verdict:
    if noise:
        return "inside-noise"
    return "better" if difference > 0 else "worse"


def _holds_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high
