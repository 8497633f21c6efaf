"""The heads of a model: which logits belong to which task. Loads no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.schemas.families import MultitaskOptions
from worker.events import AttemptSpec


@dataclass(frozen=True, slots=True)
class Head:
    """One task's part of the logits."""

    name: str
    labels: Sequence[str]
    """In the order of its logits."""
    start: int = 0
    """Where they begin."""
    loss_weight: float = 1.0

    @property
    def columns(self) -> slice:
        """Say which logits are its own."""
        return slice(self.start, self.start + len(self.labels))


def heads_of(spec: AttemptSpec) -> list[Head]:
    """Give the heads of a job in the order of the logits, the main task's first; one without a name for one task."""
    family = spec.request.family
    if not isinstance(family, MultitaskOptions):
        return [Head("", spec.labels)]
    heads = [Head(family.name, spec.labels, 0, family.loss_weight)]
    for task in spec.tasks:
        heads.append(Head(task.name, task.labels, heads[-1].columns.stop, family.tasks[task.name].loss_weight))
    return heads


def logit_names(heads: Sequence[Head]) -> list[str]:
    """Name every logit: by its label, and by its task too where there are several."""
    if len(heads) == 1:
        return list(heads[0].labels)
    return [f"{head.name}/{label}" for head in heads for label in head.labels]
