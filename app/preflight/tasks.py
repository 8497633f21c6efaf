"""The further tasks of a multitask job: what they cannot be trained with, and what they add to the run."""

from collections import Counter
from collections.abc import Iterator, Mapping

from app.errors import FieldError
from app.preflight.problem_types import problem_type_of
from app.schemas.datasets import DatasetProfile, SplitCounts, SplitName, TextLengths
from app.schemas.families import MultitaskOptions
from app.schemas.jobs import JobWarning, TrainJobRequest

Profiles = Mapping[str, DatasetProfile]
"""Of the dataset of each further task, by its name."""

_RULE = "unfit-option"
_NEEDED: dict[SplitName, str] = {"train": "to learn from", "validation": "to judge the task by"}


def unfit_tasks(request: TrainJobRequest, profile: DatasetProfile, tasks: Profiles) -> Iterator[FieldError]:
    """Find what several tasks at once do not allow; ``profile`` is that of the main task's dataset."""
    family = request.family
    if not isinstance(family, MultitaskOptions):
        return
    if problem_type_of(request, profile) == "multi_label":
        yield FieldError(
            "/family",
            _RULE,
            "cannot be multitask: each task has one label a row, and the main one has any number of them",
            remedy="Use a main dataset with one label a row, or the family encoder.",
        )
    used = Counter([request.dataset_id, *family.dataset_ids])
    for name, options in family.tasks.items():
        yield from _unfit_dataset(f"/family/tasks/{name}/dataset_id", tasks[name], used[options.dataset_id])
    wishes = request.hyperparameters
    for field, wish in (("curriculum", wishes.curriculum), ("distillation", wishes.distillation)):
        if wish is not None:
            yield FieldError(
                f"/hyperparameters/{field}",
                _RULE,
                "is for one task: the rows of several cannot be compared in this",
                remedy="Leave it out, or use the family encoder.",
            )


def _unfit_dataset(place: str, profile: DatasetProfile, times_used: int) -> Iterator[FieldError]:
    if profile.problem_type == "multi_label":
        yield FieldError(
            place, _RULE, "has rows with any number of labels", remedy="Use a dataset with one label a row."
        )
    if times_used > 1:
        yield FieldError(place, _RULE, "is the dataset of another task too", remedy="Give each task its own dataset.")
    for split, what_for in _NEEDED.items():
        if profile.splits[split].total == 0:
            yield FieldError(
                place, _RULE, f"has no {split} rows {what_for}", remedy=f"Upload it again with {split} rows."
            )


def together(profile: DatasetProfile, tasks: Profiles) -> DatasetProfile:
    """Add up the data of all tasks, as far as it decides how long a run is and how much memory it takes."""
    if not tasks:
        return profile
    every = [profile, *tasks.values()]
    names = TextLengths.model_fields
    lengths = {name: max(getattr(each.text_lengths, name) for each in every) for name in names}
    further = [f"{name}/{label}" for name, each in tasks.items() for label in each.labels]
    changes = {
        "labels": [*profile.labels, *further],
        "splits": {split: _added(split, profile, tasks) for split in profile.splits},
        "text_lengths": TextLengths.model_validate(lengths),
    }
    return profile.model_copy(update=changes)


def _added(split: SplitName, profile: DatasetProfile, tasks: Profiles) -> SplitCounts:
    by_label = dict(profile.splits[split].by_label)
    for name, each in tasks.items():
        by_label |= {f"{name}/{label}": rows for label, rows in each.splits[split].by_label.items()}
    total = profile.splits[split].total + sum(each.splits[split].total for each in tasks.values())
    return SplitCounts(total=total, by_label=by_label)


def task_warnings(tasks: Profiles, kept_back: frozenset[str]) -> list[JobWarning]:
    """Say of each further task what its data warns of, but for the codes that are ``kept_back``."""
    return [
        JobWarning(code=warning.code, detail=f"Task {name}: {warning.detail}", remedy=warning.remedy)
        for name, profile in tasks.items()
        for warning in profile.warnings
        if warning.code not in kept_back
    ]
