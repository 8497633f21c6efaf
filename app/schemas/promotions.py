"""Promotion: what a version must keep before an alias may name it, and what was found when one was to be moved."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.schemas.base import LabelName, Resource, StrictModel
from app.schemas.judgements import BaselineName, PairedComparison
from app.schemas.models import Alias
from app.schemas.traffic import Traffic

Metric = Literal[
    "accuracy",
    "f1_macro",
    "f1_weighted",
    "f1_micro",
    "precision_macro",
    "precision_weighted",
    "precision_micro",
    "recall_macro",
    "recall_weighted",
    "recall_micro",
]
Share = Annotated[float, Field(ge=0, le=1)]
CheckName = Literal[
    "metric-floor",
    "class-floor",
    "slice-floor",
    "not-worse-than-current",
    "beats-baseline",
    "export-verified",
    "latency",
]
MoveKind = Literal["move", "rollback", "remove", "traffic"]


class MetricFloor(StrictModel):
    """A score that must be reached."""

    metric: Metric
    """Which score."""
    at_least: Share
    """The lowest value that passes."""
    split: Literal["test", "validation"] = "test"
    """On which rows; the validation rows have chosen the checkpoint, so their scores are on the bright side."""


class ClassFloor(StrictModel):
    """A score that one label must reach."""

    label: LabelName
    """The label."""
    metric: Literal["precision", "recall", "f1"] = "f1"
    """Which score of it."""
    at_least: Share
    """The lowest value that passes."""
    split: Literal["test", "validation"] = "test"
    """On which rows."""


class SliceFloor(StrictModel):
    """A score that must be reached on a part of the rows that a version was judged on."""

    slice: Annotated[str, Field(pattern=r"^[^=]+=.+$", max_length=301, examples=["source=web", "length=long"])]
    """Which part: ``COLUMN=VALUE`` of a slice column of the dataset, ``length=short``, ``medium`` or ``long``, or
    ``COLUMN=*``: each one that the column has."""
    metric: Literal["accuracy", "f1_macro"] = "f1_macro"
    """Which score; f1_macro is the mean over the labels that occur in the slice."""
    at_least: Share
    """The lowest value that passes."""
    min_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """A slice with fewer rows passes, whatever its score, and the check says so: so few rows show chance."""
    if_missing: Literal["block", "allow"] = "block"
    """What to do where the version was not judged on such a slice."""


class NotWorse(StrictModel):
    """How a version must stand against the one that the alias names now, on the rows that both were judged on."""

    metric: Literal["accuracy", "f1_macro"] = "f1_macro"
    """accuracy is compared by McNemar's test, f1_macro by the paired bootstrap."""
    max_drop: Share = 0.0
    """A loss up to this is accepted, however certain."""
    certain: bool = False
    """false: blocked where a larger loss than ``max_drop`` was seen and is more than noise. true: blocked unless it is
    95 % certain that there is none, so that too few rows block as well."""
    if_incomparable: Literal["block", "allow"] = "block"
    """What to do where the two cannot be compared: they share fewer than 50 rows, or fewer than half of them, or one of
    them keeps no answers."""


class BeatsBaseline(StrictModel):
    """A simple model that was trained on the same rows and must be beaten."""

    baseline: BaselineName = "tfidf-logistic-regression"
    """Which one."""
    margin: Share = 0.0
    """By how much macro F1 at least."""
    beyond_noise: bool = True
    """Whether the difference must be more than noise too."""


class LatencyBudget(StrictModel):
    """How long an answer may take, as measured on one thread of the worker's processor when the version was made."""

    ms_per_text: Annotated[float, Field(gt=0, le=3_600_000)]
    """Milliseconds a text."""
    batch: Literal[1, 32] = 1
    """One text alone, or each of 32 together."""


class PromotionPolicy(StrictModel):
    """What a version must keep before the alias may name it; what is left out is not checked."""

    floors: Annotated[list[MetricFloor], Field(max_length=50)] = []
    """Scores to reach."""
    class_floors: Annotated[list[ClassFloor], Field(max_length=1000)] = []
    """Scores that single labels must reach."""
    slice_floors: Annotated[list[SliceFloor], Field(max_length=200)] = []
    """Scores to reach on parts of the test rows (without any, of the validation rows)."""
    not_worse_than_current: NotWorse | None = None
    """Comparison with the version that the alias names now; the first version that it names passes."""
    beats_baseline: BeatsBaseline | None = None
    """A simple model to beat."""
    export_verified: bool = False
    """Whether the format that answers predictions must have been compared with the trained model and found equal."""
    latency: LatencyBudget | None = None
    """How long the format that answers predictions may take."""


class AliasPolicy(Resource):
    """The policy of an alias, which need not be set yet."""

    alias: str
    """The alias."""
    policy: PromotionPolicy
    """What it asks."""
    revision: int
    """Grows with each change."""
    updated_at: datetime
    """When it was last changed."""
    updated_by: str
    """Who changed it: ``api-key``, or ``anonymous`` where the service has no key."""


class Check(Resource):
    """One thing that was checked."""

    name: CheckName
    """What."""
    passed: bool
    """Whether it holds."""
    actual: float | None
    """What was found; null where there is no number."""
    needed: float | None
    """What it is compared with; null where there is no number."""
    detail: str
    """The same in a sentence."""
    comparison: PairedComparison | None = None
    """Of a comparison with another model: the version first, that one second."""


class AliasCheck(StrictModel):
    """Ask whether an alias may be moved."""

    version: int
    """The number of an existing version."""


class Promotion(Resource):
    """Whether a version may take an alias."""

    alias: str
    """The alias."""
    version: int
    """The version that wants it."""
    current: int | None
    """The version that it names now; null: it is not set."""
    allowed: bool
    """Whether every check passed; without a policy there is none."""
    checks: list[Check]
    """What was checked."""


class RolledBack(Alias):
    """An alias that was moved back."""

    rolled_back_from: int
    """The version that it named until now."""


class AliasMoved(Resource):
    """One line of the history of an alias."""

    at: datetime
    """When."""
    kind: MoveKind
    """move: it was pointed at a version. rollback: back at an earlier one, unchecked. remove: it was deleted.
    traffic: it stayed, and its calls were split in another way."""
    from_version: int | None
    """What it named before; null: nothing."""
    to_version: int | None
    """What it has named since; null: nothing."""
    actor: str
    """Who: ``api-key``, or ``anonymous`` where the service has no key."""
    forced: bool
    """Whether the policy said no and was overruled."""
    reason: str | None
    """Why, if that was said."""
    checks: list[Check]
    """What the policy found then."""
    traffic: Traffic | None = None
    """How its calls have been split since, where this changed that; null: as before."""
