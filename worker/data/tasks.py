"""The rows of several tasks: mixed for training, apart for judging."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.schemas.datasets import SplitName
from app.schemas.hyperparameters import Resolution
from worker.data.batches import Batches
from worker.data.rows import Rows, indices, read_rows
from worker.events import AttemptSpec
from worker.heads import Head

Splits = dict[SplitName, Rows]


@dataclass(frozen=True, slots=True)
class TaskData:
    """What one further task is judged on."""

    head: Head
    validation: Batches | None
    test: Batches | None


def read_further(spec: AttemptSpec) -> list[Splits]:
    """Read the rows of the further tasks, in their order. Raises JobFailure as ``read_rows`` does."""
    return [read_rows(task.dataset_file, task.labels) for task in spec.tasks]


def mixed(train: Rows, further: Sequence[Splits], heads: Sequence[Head]) -> Rows:
    """Put the training rows of all tasks into one split; labels become indices among the logits of all heads."""
    if not further:
        return train
    together = Rows(list(train.texts), list(train.labels))
    for head, splits in zip(heads[1:], further, strict=True):
        together.texts += splits["train"].texts
        together.labels += [head.start + index for index in indices(splits["train"].labels)]
    return together


def told(train: Rows, further: Sequence[Splits], heads: Sequence[Head]) -> list[Resolution]:
    """Say how many rows each task brings; nothing of a single one."""
    if not further:
        return []
    sizes = [len(train.texts), *(len(splits["train"].texts) for splits in further)]
    rows = {head.name: float(size) for head, size in zip(heads, sizes, strict=True)}
    reason = "training rows by task: each epoch has all of them, and a batch rows of any task"
    return [Resolution(field="tasks", value=rows, reason=reason)]
