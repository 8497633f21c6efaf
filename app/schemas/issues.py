"""What a trained model shows about its data: hard rows, doubtful labels, texts in more than one split."""

from app.schemas.base import Resource
from app.schemas.datasets import SplitName


class HardExample(Resource):
    """A row the model finds hard: it costs more loss than nearly every other."""

    row: int
    """Place in its split, from 0."""
    text: str
    """The beginning of the text."""
    label: str
    """The label the row carries; of multi_label all of them, and probabilities are those of the whole set."""
    predicted: str
    """The label the model gives."""
    probability: float
    """Of the predicted label."""
    label_probability: float
    """Of the label the row carries."""
    loss: float
    """Cross-entropy of the row."""


class LabelSuspect(Resource):
    """A row whose label the model, with good confidence, believes to be wrong."""

    row: int
    """Place in its split, from 0."""
    text: str
    """The beginning of the text."""
    label: str
    """The label the row carries; of multi_label all of them, and probabilities are those of the surest change."""
    suggested: str
    """The label the model believes in."""
    probability: float
    """Of the suggested label."""
    label_probability: float
    """Of the label the row carries."""


class Overlap(Resource):
    """One text, up to case, punctuation and white space, that occurs in more than one split."""

    text: str
    """The beginning of the text."""
    rows: dict[SplitName, int]
    """How often in each split."""
    labels: list[str]
    """The labels it carries; more than one contradict each other."""


class TaskIssues(Resource):
    """What one head of a trained model shows about its data."""

    split: SplitName
    """The split that the model judged."""
    hardest: list[HardExample] = []
    """The rows with the highest loss, the worst first."""
    label_suspects: list[LabelSuspect] = []
    """Rows whose label may be wrong, the surest first."""
    label_suspects_total: int = 0
    """Found in all; ``label_suspects`` holds the most likely ones."""
    overlaps: list[Overlap] = []
    """Texts in more than one split, contradicting ones first."""
    overlaps_total: int = 0
    """Found in all."""
    leaked: dict[SplitName, int] = {}
    """Rows of a split whose text also occurs in the training split."""


class DataIssues(TaskIssues):
    """What a trained model shows about its data; of several tasks, about that of the main one."""

    tasks: dict[str, TaskIssues] = {}
    """The same of the further tasks by name, each about its own dataset."""
