"""How sure a score is: intervals, paired comparisons on the same rows, and what simple models reach."""

from typing import Literal

from app.schemas.base import Resource
from app.schemas.datasets import SplitName

Verdict = Literal["better", "worse", "inside-noise"]
BaselineName = Literal["majority", "tfidf-logistic-regression"]


class Interval(Resource):
    """Where a number lies with 95 % confidence."""

    low: float
    """Its lower end."""
    high: float
    """Its upper end."""


class Intervals(Resource):
    """95 % bootstrap intervals of the scores of one split: what another draw of as many rows might have given."""

    split: SplitName
    """The split whose rows were drawn anew."""
    rows: int
    """Rows in it."""
    resamples: int
    """Times it was drawn anew, with a fixed seed."""
    accuracy: Interval
    """Of ``accuracy``."""
    f1_macro: Interval
    """Of ``f1_macro``."""


class PartScores(Resource):
    """Scores on a part of the rows that were judged."""

    slice: str
    """Which part: ``COLUMN=VALUE`` for a slice column of the dataset; ``length=short``, ``medium`` and ``long`` for
    thirds by characters."""
    rows: int
    """Rows in it: with few, the scores say little."""
    detail: str | None = None
    """Of a length: how many characters that is."""
    accuracy: float
    """Share of its rows that are right; of several labels a row, with all labels."""
    accuracy_interval: Interval
    """95 % Wilson interval of ``accuracy``."""
    f1_macro: float
    """Mean F1 of the labels that its rows truly have; labels that do not occur in it do not count."""
    f1_macro_interval: Interval
    """95 % bootstrap interval of ``f1_macro``; of very few rows too narrow."""


class SliceScores(PartScores):
    """Scores on a part of the rows that a version was judged on in its job."""

    split: SplitName
    """The split whose rows were judged."""


class PairedComparison(Resource):
    """Two models judged on the same rows, row by row: is the difference more than luck?"""

    rows: int
    """Rows that both answered."""
    better: int
    """Rows that the first has right and the second wrong."""
    worse: int
    """Rows that the first has wrong and the second right."""
    p_value: float
    """McNemar's mid-p: how likely so uneven a count, or a more uneven one, were if both were equally good."""
    accuracy_difference: float
    """Accuracy of the first minus that of the second."""
    accuracy_verdict: Verdict
    """By McNemar's test at 5 %."""
    accuracy_interval: Interval | None = None
    """95 % paired bootstrap interval of that difference; null: older than the record."""
    f1_macro_difference: float
    """Macro F1 of the first minus that of the second."""
    f1_macro_interval: Interval
    """95 % paired bootstrap interval of that difference."""
    f1_macro_verdict: Verdict
    """inside-noise: the interval holds 0."""


class Baseline(Resource):
    """What a simple model reaches that was trained on the same rows; a model that does not beat it is not worth it."""

    name: BaselineName
    """majority: always the commonest answer. tfidf-logistic-regression: words and pairs of words, no network."""
    split: SplitName
    """The split it was judged on."""
    trained_on: int = 0
    """Training rows that it saw."""
    accuracy: float | None = None
    """Its accuracy; null: it was left out, ``note`` says why."""
    f1_macro: float | None = None
    """Its macro F1."""
    seconds: float | None = None
    """How long it trained."""
    comparison: PairedComparison | None = None
    """The version (first) against it (second), on the same rows."""
    note: str | None = None
    """What was bounded or left out, and why."""


class AnswersRef(Resource):
    """Where a bundle keeps its answers to the rows it was judged on, to compare two versions row by row."""

    file: str
    """In the bundle; it holds hashes of the texts, never the texts."""
    split: SplitName
    """The split that was answered."""
    rows: int
    """Rows answered: the first of the split, in its order."""
