"""What a trained model shows about rows with any number of labels each: each label is a question of its own."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.datasets import SplitName
from app.schemas.issues import HardExample, LabelSuspect, TaskIssues
from app.text.excerpts import excerpt
from worker.evaluation.issues import LEAST_PROBABILITY, MOST_HARD, MOST_OVERLAPS, MOST_SUSPECTS
from worker.evaluation.overlaps import leaked_rows, overlapping_texts

Probabilities = NDArray[np.floating]
Sets = NDArray[np.bool_]
"""Which labels, (rows, labels)."""
NOTHING = "no label"


def find_set_issues(
    probabilities: Probabilities,
    truth: Sets,
    given: Sets,
    texts: Sequence[str],
    names: Sequence[str],
    *,
    split: SplitName,
    splits: Mapping[SplitName, Sequence[str]],
    split_sets: Mapping[SplitName, Sequence[Sequence[int]]],
) -> TaskIssues:
    """Look for hard rows, likely wrong labels and texts in more than one split.

    ``probabilities``, ``truth`` and ``given``, what the model answers, are (rows, labels); ``split_sets`` holds for
    each split the label indices of each text.
    """
    suspects = likely_set_errors(probabilities, truth, texts, names)
    numbers: dict[tuple[int, ...], int] = {}
    indices = {
        name: np.array([numbers.setdefault(tuple(one), len(numbers)) for one in sets], dtype=np.int64)
        for name, sets in split_sets.items()
    }
    overlaps = overlapping_texts(splits, indices, [_named(one, names) for one in numbers])
    return TaskIssues(
        split=split,
        hardest=hardest_sets(probabilities, truth, given, texts, names),
        label_suspects=suspects[:MOST_SUSPECTS],
        label_suspects_total=len(suspects),
        overlaps=overlaps[:MOST_OVERLAPS],
        overlaps_total=len(overlaps),
        leaked=leaked_rows(overlaps),
    )


def hardest_sets(
    probabilities: Probabilities,
    truth: Sets,
    given: Sets,
    texts: Sequence[str],
    names: Sequence[str],
    *,
    most: int = MOST_HARD,
) -> list[HardExample]:
    """List the rows whose labels together cost most, the worst first.

    The probability of a set is the product of those of its decisions, as if labels did not depend on each other.
    """
    losses = -_logs(probabilities, truth)  # (rows,)
    answered = np.exp(_logs(probabilities, given))  # (rows,)
    return [
        HardExample(
            row=int(row),
            text=excerpt(texts[row]),
            label=_named(np.flatnonzero(truth[row]), names),
            predicted=_named(np.flatnonzero(given[row]), names),
            probability=float(answered[row]),
            label_probability=float(np.exp(-losses[row])),
            loss=float(losses[row]),
        )
        for row in np.argsort(-losses, kind="stable")[:most]
    ]


def likely_set_errors(
    probabilities: Probabilities, truth: Sets, texts: Sequence[str], names: Sequence[str]
) -> list[LabelSuspect]:
    """List rows that seem to lack a label or to have one too many, the surest first.

    Confident learning, label by label: a decision is suspect when its opposite is as probable as it is on average for
    the rows that are labelled so, and more probable than itself. A row is listed once, with all its suspect decisions
    turned; the probabilities are those of the surest one.
    """
    if not len(truth):
        return []
    against = np.where(truth, 1 - probabilities, probabilities)  # (rows, labels): of the opposite of each decision
    usual = np.where(truth, _mean(1 - probabilities, ~truth), _mean(probabilities, truth))
    suspect = (against >= usual) & (against > 0.5)
    surest = np.where(suspect, against, 0.0).max(axis=1)  # (rows,)
    return [
        LabelSuspect(
            row=int(row),
            text=excerpt(texts[row]),
            label=_named(np.flatnonzero(truth[row]), names),
            suggested=_named(np.flatnonzero(truth[row] ^ suspect[row]), names),
            probability=float(surest[row]),
            label_probability=float(1 - surest[row]),
        )
        for row in np.argsort(-surest, kind="stable")
        if surest[row] > 0
    ]


def _logs(probabilities: Probabilities, chosen: Sets) -> NDArray[np.float64]:
    """Add up the logarithms of the probabilities of a row's decisions."""
    right = np.where(chosen, probabilities, 1 - probabilities)
    sums: NDArray[np.float64] = np.log(np.maximum(right, LEAST_PROBABILITY)).sum(axis=1)
    return sums


def _mean(values: Probabilities, chosen: Sets) -> NDArray[np.float64]:
    """Average each column over its chosen rows; a column without any gives what no probability reaches."""
    counts = chosen.sum(axis=0)
    sums = np.where(chosen, values, 0.0).sum(axis=0)
    means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return means


def _named(labels: Sequence[int] | NDArray[np.integer], names: Sequence[str]) -> str:
    return ", ".join(names[label] for label in labels) or NOTHING
