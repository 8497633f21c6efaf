"""How a version does on real calls: its accuracy by feedback, and whether what it is asked has changed."""

from datetime import datetime
from typing import Literal

from app.schemas.base import Resource
from app.schemas.datasets import SplitName
from app.schemas.histograms import Histograms
from app.schemas.judgements import Interval

Distribution = Literal["labels", "confidence", "tokens"]


class LiveAccuracy(Resource):
    """The share of logged answers that were right, of those with feedback that are still kept."""

    feedback: int
    """Answers with feedback."""
    right: int
    """Those that were right; of multi_label, the whole set."""
    accuracy: float
    """The share, 0 to 1."""
    interval: Interval
    """Its 95 % Wilson interval: as if feedback were given by chance, which it seldom is."""
    since: datetime
    """When the first of these answers was given."""
    until: datetime
    """When the last of these answers was given."""
    test_accuracy: float | None
    """Accuracy on the test rows; null: there are none."""
    compared: Literal["lower", "higher", "within"] | None
    """Where the interval lies against ``test_accuracy``: wholly below it, wholly above it, or around it."""


class Drift(Resource):
    """How far one distribution is from that of the reference."""

    of: Distribution
    """Of what."""
    stability_index: float
    """Population stability index: below 0.1 stable, below 0.25 a moderate change, else a large one."""
    jensen_shannon: float
    """Jensen-Shannon distance to the base 2, 0 to 1."""
    by_chance: float
    """The index that is to be expected by chance alone of so many texts."""
    verdict: Literal["stable", "moderate", "large", "too-few-texts"]
    """What the index means; too-few-texts: chance alone would give 0.1 or more."""


class Window(Histograms):
    """What a version was asked, and answered, in one span of time."""

    since: datetime
    """When it begins."""
    until: datetime
    """When it ends."""
    drift: list[Drift]
    """How far it is from the reference; empty: there is no reference, or there are no texts."""


class LiveReference(Histograms):
    """How the version answered the rows that it was judged on."""

    split: SplitName
    """Which rows."""


class Live(Resource):
    """How a version does on real calls."""

    model: str
    """The model."""
    version: int
    """The version."""
    accuracy: LiveAccuracy | None
    """By feedback; null: there is none."""
    reference: LiveReference | None
    """What windows are compared with; null: the version was published without, so nothing can be said of drift."""
    windows: list[Window]
    """Spans of time, the newest last."""
