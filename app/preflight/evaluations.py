"""What can be found wrong with an evaluation before a worker is asked: labels that the version does not know."""

from collections.abc import Sequence

from app.artifacts.bundle import Manifest
from app.errors import FieldError, Unprocessable, nearest
from app.schemas.datasets import DatasetProfile, DataWarning
from app.schemas.evaluations import EvaluationRequest

_MOST_SHOWN = 20


def rows_of(wanted: EvaluationRequest, manifest: Manifest, profile: DatasetProfile) -> int:
    """Count the rows that are to be judged.

    Raises Unprocessable ``unknown-task``, ``unfit-labels``, ``empty-split``.
    """
    labels = _labels(wanted, manifest)
    unknown = [label for label in profile.labels if label not in labels]
    if unknown:
        raise _unknown_labels(unknown, labels)
    if profile.problem_type == "multi_label" and manifest.problem_type == "single_label":
        raise Unprocessable(
            "Rows of the dataset have any number of labels, and the version gives each text exactly one.",
            code="unfit-labels",
            remedy="Judge it on a dataset with one label a row, or judge a version that was trained as multi_label.",
            errors=(FieldError("/dataset_id", "unfit-labels", "must have one label a row"),),
        )
    counts = {name: split.total for name, split in profile.splits.items()}
    rows = sum(counts.values()) if wanted.split == "all" else counts.get(wanted.split, 0)
    if rows == 0:
        raise _empty(wanted.split, [*(name for name, count in counts.items() if count), "all"])
    return rows


def cautions(wanted: EvaluationRequest, manifest: Manifest, dataset_sha256: str) -> list[DataWarning]:
    """Say what makes the scores worth less than they look."""
    known = {manifest.dataset.sha256, *(task.dataset.sha256 for task in manifest.tasks)}
    if wanted.split == "test" or dataset_sha256 not in known:
        return []
    seen = "was trained on" if wanted.split != "validation" else "was chosen by"
    return [
        DataWarning(
            code="seen-in-training",
            detail=f"The version {seen} rows of this very dataset, so scores on its split {wanted.split} flatter it.",
            remedy="Judge it on the split test, or on a dataset that it has not seen.",
        )
    ]


def _labels(wanted: EvaluationRequest, manifest: Manifest) -> Sequence[str]:
    if wanted.task is None:
        return manifest.labels
    known = {task.name: task.labels for task in manifest.tasks}
    if wanted.task not in known:
        raise Unprocessable(
            f"The version has no task {wanted.task!r}.",
            code="unknown-task",
            remedy=f"Name one of {', '.join(known)}, or leave it out." if known else "Leave it out: it has only one.",
            errors=(FieldError("/task", "unknown-task", "names no task of the version", list(known) or None),),
        )
    return known[wanted.task]


def _unknown_labels(unknown: Sequence[str], labels: Sequence[str]) -> Unprocessable:
    near = nearest(unknown[0], labels)
    return Unprocessable(
        f"The version does not know {len(unknown)} labels of the dataset: {', '.join(unknown[:_MOST_SHOWN])}.",
        code="unfit-labels",
        remedy=f"Labels are matched by name; did you mean {near!r}? Upload the rows again with label_names."
        if near
        else "Labels are matched by name: upload the rows again with label_names that the version has.",
        errors=(FieldError("/dataset_id", "unfit-labels", "has labels that the version lacks", list(labels[:50])),),
    )


def _empty(split: str, others: Sequence[str]) -> Unprocessable:
    return Unprocessable(
        f"The dataset has no rows in its split {split}.",
        code="empty-split",
        remedy=f"Judge one of {', '.join(others)}.",
        errors=(FieldError("/split", "empty-split", "has no rows", list(others)),),
    )
