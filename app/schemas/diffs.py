"""What differs between two versions of a model."""

from typing import Any, Literal

from app.schemas.base import Resource
from app.schemas.jobs import BaseModelRef, DatasetRef, ServedFormat
from app.schemas.judgements import Intervals, PairedComparison

ChangeKind = Literal["fixed", "broken", "other"]


class SettingDiff(Resource):
    """A hyperparameter that differs; null: one of them has none of that name."""

    name: str
    """The hyperparameter."""
    before: Any
    """Its value in the one."""
    after: Any
    """Its value in the other."""


class DataDiff(Resource):
    """What the two were trained on."""

    same: bool
    """Whether the rows are the same, by hash."""
    before: DatasetRef
    """The data of the one."""
    after: DatasetRef
    """The data of the other."""
    labels_added: list[str]
    """Labels that only the other knows."""
    labels_removed: list[str]
    """Labels that only the one knows."""


class MetricDiff(Resource):
    """A score of both."""

    name: str
    """``validation/...`` or ``test/...``."""
    before: float | None
    """Of the one; null: not measured."""
    after: float | None
    """Of the other."""
    difference: float | None
    """The other minus the one."""


class ClassDiff(Resource):
    """F1, precision and recall of one label; null where a version does not know it."""

    label: str
    """The label."""
    f1_before: float | None
    """F1 of the one."""
    f1_after: float | None
    """F1 of the other."""
    difference: float | None
    """F1 of the other minus that of the one."""
    precision_before: float | None
    """Precision of the one."""
    precision_after: float | None
    """Precision of the other."""
    recall_before: float | None
    """Recall of the one."""
    recall_after: float | None
    """Recall of the other."""


class SliceDiff(Resource):
    """Scores of one slice; null where a version was not judged on it."""

    slice: str
    """Which part of the rows: ``COLUMN=VALUE``, or ``length=short``, ``medium``, ``long``."""
    rows_before: int | None
    """Rows in it for the one."""
    rows_after: int | None
    """Rows in it for the other."""
    accuracy_before: float | None
    """Accuracy of the one."""
    accuracy_after: float | None
    """Accuracy of the other."""
    f1_before: float | None
    """Macro F1 of the one."""
    f1_after: float | None
    """Macro F1 of the other."""
    difference: float | None
    """Macro F1 of the other minus that of the one."""


class ChangedPrediction(Resource):
    """A row that the two answer differently."""

    row: int
    """Place in the split that the other was judged on, from 0."""
    text: str | None
    """The beginning of the text; null: the dataset was deleted."""
    label: str
    """What it is labelled; of several labels all of them."""
    before: str
    """What the one answers."""
    after: str
    """What the other answers."""
    kind: ChangeKind
    """fixed: wrong before, right now. broken: right before, wrong now. other: wrong both times."""


class PredictionDiff(Resource):
    """How the answers differ on the rows that both were judged on."""

    rows: int
    """Rows that both have answered."""
    same_rows: bool
    """Whether these are all rows that either was judged on."""
    fixed: int
    """Wrong before, right now."""
    broken: int
    """Right before, wrong now."""
    other: int
    """Answered differently, and wrong both times."""
    examples: list[ChangedPrediction]
    """Some of them: broken ones first, then fixed ones."""


class VersionDiff(Resource):
    """Two versions of a model side by side: the one is ``from``, the other ``to``."""

    model: str
    """The model."""
    from_version: int
    """The one."""
    to_version: int
    """The other."""
    base_model_before: BaseModelRef
    """What the one started from."""
    base_model_after: BaseModelRef
    """What the other started from."""
    hyperparameters: list[SettingDiff]
    """Those that differ."""
    data: DataDiff
    """What they learned from."""
    metrics: list[MetricDiff]
    """Every score of either."""
    intervals_before: Intervals | None
    """How sure the scores of the one are."""
    intervals_after: Intervals | None
    """How sure the scores of the other are."""
    comparison: PairedComparison | None
    """The other (first) against the one (second) on the rows that both were judged on; null: ``not_compared``."""
    not_compared: str | None
    """Why they cannot be compared row by row."""
    per_class: list[ClassDiff]
    """Label by label, on the test split, else the validation split; the largest losses first."""
    slices: list[SliceDiff] = []
    """Slice by slice; the largest losses first. They are the same rows only where the test rows are."""
    predictions: PredictionDiff | None
    """Answers that changed; null: they cannot be compared."""
    serve_before: ServedFormat
    """The format that answers predictions of the one."""
    serve_after: ServedFormat
    """The format that answers predictions of the other."""
    bytes_before: int
    """Size of the one."""
    bytes_after: int
    """Size of the other."""
