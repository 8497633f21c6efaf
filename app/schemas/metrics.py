"""Scores: what one evaluation says, and the history of a run as points."""

from datetime import datetime

from app.schemas.base import Resource


class ClassScores(Resource):
    """One label's scores; undefined ratios are 0."""

    label: str
    """The label."""
    precision: float
    """Of the rows given this label, the share that truly has it."""
    recall: float
    """Of the rows that truly have this label, the share that was given it."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Rows that truly carry the label."""


class ReliabilityBin(Resource):
    """Answers that are about equally sure."""

    start: float
    """Where the bin begins; it is a fifteenth wide and takes in its upper end."""
    count: int
    """Answers in it."""
    confidence: float
    """How sure they are on average."""
    accuracy: float
    """The share of them that is right."""


class CalibrationScores(Resource):
    """How far probabilities can be taken at their word."""

    ece: float
    """Expected calibration error: the mean distance between how sure answers are and how many of them are right, over
    15 bins of equal width, each weighed by its answers. An answer is the most probable label of a row; of multi_label
    every label of every row."""
    nll: float
    """Mean negative logarithm of the probability of what is true."""
    brier: float
    """Mean squared error of the probabilities, summed over the labels of a row; of multi_label of single labels."""
    bins: list[ReliabilityBin]
    """The bins that are not empty."""


class Calibration(Resource):
    """How well probabilities fit, before and after the temperature of the version."""

    rows: int
    """Rows that were looked at."""
    temperature: float
    """What logits are divided by; fitted on the validation split, never on this one if it is the test split."""
    before: CalibrationScores
    """As the trained model answers."""
    after: CalibrationScores | None
    """As the version answers; null where that is the same."""
    abstained: float | None = None
    """Share of the rows whose answer is marked as abstained; null: the version never abstains."""
    accuracy_of_rest: float | None = None
    """Accuracy on the other rows; null where there are none, or the version never abstains."""


class TaskEvaluation(Resource):
    """One split judged by one head of a model."""

    split: str
    """The split that was judged."""
    examples: int
    """Rows judged."""
    loss: float
    """Mean cross-entropy."""
    accuracy: float
    """Share of rows with the right label; of multi_label, with all labels right."""
    f1_macro: float
    """Mean F1 of the labels, each counting the same."""
    f1_weighted: float
    """Mean F1 of the labels, each counting by its rows."""
    precision_macro: float
    """Mean precision of the labels, each counting the same."""
    precision_weighted: float
    """Mean precision of the labels, each counting by its rows."""
    recall_macro: float
    """Mean recall of the labels, each counting the same."""
    recall_weighted: float
    """Mean recall of the labels, each counting by its rows."""
    f1_micro: float | None = None
    """F1 over all decisions of all labels together; of single_label the same as accuracy."""
    precision_micro: float | None = None
    """Precision over all decisions of all labels together."""
    recall_micro: float | None = None
    """Recall over all decisions of all labels together."""
    hamming_loss: float | None = None
    """Share of wrong decisions, over all labels of all rows; only of multi_label."""
    per_class: list[ClassScores]
    """Scores label by label."""
    confusion_matrix: list[list[int]]
    """Rows are true labels, columns predicted ones, both in the order of ``per_class``; empty for multi_label."""
    calibration: Calibration | None = None
    """How far the probabilities can be taken at their word; of the kept checkpoint alone."""


class Evaluation(TaskEvaluation):
    """One split judged by one model; of a multitask model, by the head of its main task."""

    tasks: dict[str, TaskEvaluation] = {}
    """Scores of the further tasks of a multitask model by name, each on the split of its own dataset."""


class MetricPoint(Resource):
    """One value of one curve."""

    name: str
    """``train/...`` or ``eval/...``, as TensorBoard shows it."""
    step: int
    """Optimizer step."""
    epoch: float
    """Passes over the training split by then."""
    value: float
    """The value."""
    attempt: int
    """The attempt that measured it."""
    at: datetime
    """When it was measured."""
