"""Scores on parts of the rows that a model was judged on: short and long texts, and what the dataset groups them by."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.schemas.judgements import Interval, PartScores, SliceScores
from app.significance.answers import Answers
from app.significance.judging import f1_macro, intervals_of
from app.significance.wilson import wilson
from worker.data.rows import Rows

MOST_VALUES = 20
"""Of a column: the commonest ones."""
FEWEST_FOR_LENGTHS = 30
"""Rows that are worth being cut into thirds."""
LENGTHS = ("short", "medium", "long")

Chosen = NDArray[np.bool_]


def slices_of(answers: Answers, rows: Rows, check: Callable[[], None]) -> list[SliceScores]:
    """Judge parts of a split that a job held out, by the answers to its rows; ``check`` may raise to stop."""
    lengths = np.array([len(text) for text in rows.texts[: len(answers)]])
    parts = parts_of(answers, lengths, rows.slices[: len(answers)], check)
    return [SliceScores(split=answers.split, **dict(part)) for part in parts]


def parts_of(
    answers: Answers, lengths: NDArray[np.integer], values: Sequence[Mapping[str, str]], check: Callable[[], None]
) -> list[PartScores]:
    """Judge each part of the rows by itself, by the answers to all of them.

    ``lengths`` are the characters of each text, ``values`` what each row has in the slice columns of its dataset, none
    without such columns.
    """
    found = []
    for name, detail, chosen in (*_by_length(lengths), *_by_column(values)):
        check()
        found.append(_scores(name, detail, _part(answers, chosen)))
    return found


def _by_length(lengths: NDArray[np.integer]) -> Iterator[tuple[str, str | None, Chosen]]:
    """Cut the rows into thirds by their characters, as far as they differ."""
    if len(lengths) < FEWEST_FOR_LENGTHS:
        return
    first, second = (int(bound) for bound in np.quantile(lengths, [1 / 3, 2 / 3], method="inverted_cdf"))
    places = (lengths > first).astype(int) + (lengths > second)
    words = (f"at most {first} characters", f"{first + 1} to {second} characters", f"more than {second} characters")
    for place, (name, detail) in enumerate(zip(LENGTHS, words, strict=True)):
        if (places == place).any() and not (places == place).all():
            yield f"length={name}", detail, places == place


def _by_column(values: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str | None, Chosen]]:
    for column in dict.fromkeys(column for row in values for column in row):
        own = [row.get(column) for row in values]
        for value, _ in Counter(word for word in own if word is not None).most_common(MOST_VALUES):
            yield f"{column}={value}", None, np.array([word == value for word in own])


def _part(answers: Answers, chosen: Chosen) -> Answers:
    return replace(
        answers,
        keys=answers.keys[chosen],
        truth=answers.truth[chosen],
        given=answers.given[chosen],
        probabilities=answers.probabilities[chosen],
    )


def _scores(name: str, detail: str | None, part: Answers) -> PartScores:
    """Score a part that has at least one row; of the labels, those that its rows have."""
    occurring = int(part.truth.any(axis=0).sum()) if part.several else len(np.unique(part.truth))
    # All other labels have an F1 of 0, so that the mean of these alone is so many times larger.
    share = len(part.labels) / max(1, occurring)
    sure = intervals_of(part)
    span = Interval(low=0.0, high=1.0) if sure is None else sure.f1_macro
    return PartScores(
        slice=name,
        rows=len(part),
        detail=detail,
        accuracy=float(part.right.mean()),
        accuracy_interval=wilson(int(part.right.sum()), len(part)),
        f1_macro=min(1.0, f1_macro(part) * share),
        f1_macro_interval=Interval(low=min(1.0, span.low * share), high=min(1.0, span.high * share)),
    )
