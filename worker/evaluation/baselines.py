"""Simple models trained on the same rows: what always answering alike, and counting words, would reach."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.significance.answers import Marks

MOST_ROWS = 20_000
"""Training rows that the words are learned from; of several labels fewer, as each label is a model of its own."""
MOST_DECISIONS = 400_000
MOST_LABELS = 200
MOST_CHARACTERS = 5_000
"""Of a text."""
MOST_FEATURES = 50_000
MOST_WEIGHTS = 2_000_000
"""Features times labels."""
SECONDS = 20.0
STEPS = 20
"""Iterations of the solver between two looks at the clock."""

Targets = NDArray[np.int64] | Marks
"""(rows,) indices of labels; of several labels (rows, labels)."""


class TooMany(ValueError):
    """Says what there is too much of to learn from it in a bounded time."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The answers of a baseline to the rows that are judged."""

    answers: Targets
    trained_on: int
    seconds: float
    note: str | None = None


def majority(truth: Targets, rows: int) -> Given:
    """Answer ``rows`` rows with the commonest label of the training rows; of several labels, the commonest set."""
    if truth.ndim == 1:
        return Given(np.full(rows, np.bincount(truth.astype(np.int64)).argmax()), len(truth), 0.0)
    sets, counts = np.unique(truth, axis=0, return_counts=True)
    return Given(np.tile(sets[counts.argmax()].astype(np.bool_), (rows, 1)), len(truth), 0.0)


def by_words(
    texts: Sequence[str],
    truth: Targets,
    judged: Sequence[str],
    clean: Callable[[str], str],
    check: Callable[[], None],
    *,
    seed: int,
) -> Given:
    """Learn from words and pairs of words (TF-IDF, logistic regression) and answer the ``judged`` texts.

    Bounded in rows, characters, features and seconds; ``note`` says where that was felt. Raises TooMany,
    ValueError for rows from which nothing can be learned, ImportError on a worker without scikit-learn.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    several = truth.ndim == 2
    labels = truth.shape[1] if several else int(truth.max()) + 1
    if several and labels > MOST_LABELS:
        raise TooMany(f"{labels} labels, which are more than {MOST_LABELS}, each with a model of its own")
    started = time.monotonic()
    chosen = _sample(len(texts), min(MOST_ROWS, MOST_DECISIONS // labels) if several else MOST_ROWS, seed)
    words = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        max_features=max(2_000, min(MOST_FEATURES, MOST_WEIGHTS // labels)),
        dtype=np.float64,
    )
    seen = words.fit_transform([clean(texts[row][:MOST_CHARACTERS]) for row in chosen])
    check()
    asked = words.transform([clean(text[:MOST_CHARACTERS]) for text in judged])
    check()
    learn = _each_label if several else _one_label
    answers, hurried = learn(seen, truth[chosen], asked, lambda: time.monotonic() - started > SECONDS, check)
    return Given(answers, len(chosen), time.monotonic() - started, _note(len(chosen), len(texts), hurried=hurried))


def _one_label(
    seen: object, truth: Targets, asked: object, late: Callable[[], bool], check: Callable[[], None]
) -> tuple[Targets, bool]:
    model, hurried = _fit(seen, truth, late, check)
    answers: NDArray[np.int64] = model.predict(asked).astype(np.int64)
    return answers, hurried


def _each_label(
    seen: object, truth: Targets, asked: object, late: Callable[[], bool], check: Callable[[], None]
) -> tuple[Targets, bool]:
    """Learn a yes or no for each label; one that all training rows have, or none, is answered likewise."""
    columns, hurried = [], False
    for label in range(truth.shape[1]):
        own = truth[:, label]
        if own.all() or not own.any():
            columns.append(np.full(asked.shape[0], bool(own[0])))  # type: ignore[attr-defined]
            continue
        model, cut = _fit(seen, own, late, check)
        hurried = hurried or cut
        columns.append(model.predict(asked).astype(np.bool_))
    return np.stack(columns, axis=1), hurried


def _fit(seen: object, truth: Targets, late: Callable[[], bool], check: Callable[[], None]) -> tuple[Any, bool]:
    """Fit a few steps at a time until it has settled or the time is up; tell whether it was cut short."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # By Newton's method: on so few rows and so many words ten times as fast as lbfgs, to the same answers but for 1 %.
    model = LogisticRegression(C=10.0, solver="newton-cg", max_iter=STEPS, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        while True:
            model.fit(seen, truth)
            check()
            if int(np.max(model.n_iter_)) < STEPS:
                return model, False
            if late():
                return model, True


def _sample(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _note(used: int, rows: int, *, hurried: bool) -> str | None:
    parts = [f"it learned from {used} of {rows} training rows"] if used < rows else []
    if hurried:
        parts.append(f"its training was ended after {SECONDS:g} s, before it had settled")
    return "; ".join(parts) or None
