"""Scores: what one evaluation says, and the history of a run as points."""

from datetime import datetime

from app.schemas.base import Resource


class ClassScores(Resource):
    """One label's scores; undefined ratios are 0."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Rows that truly carry the label."""


class Evaluation(Resource):
    """One split judged by one model."""

    split: str
    examples: int
    loss: float
    accuracy: float
    f1_macro: float
    f1_weighted: float
    precision_macro: float
    precision_weighted: float
    recall_macro: float
    recall_weighted: float
    per_class: list[ClassScores]
    confusion_matrix: list[list[int]]
    """Rows are true labels, columns predicted ones, both in the order of ``per_class``."""


class MetricPoint(Resource):
    """One value of one curve."""

    name: str
    """``train/...`` or ``eval/...``, as TensorBoard shows it."""
    step: int
    epoch: float
    value: float
    attempt: int
    at: datetime
