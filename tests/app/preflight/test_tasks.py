"""Jobs of several tasks: refused where a dataset cannot be one, sized by the rows of all of them."""

from collections.abc import Callable
from typing import Any

import pytest

from app.artifacts.file import FileStore
from app.errors import AppError
from app.preflight import fields
from app.preflight.base_models import BaseModels
from app.preflight.jobs import JobPreflight, Prepared
from app.preflight.shapes import Shapes
from app.preflight.stored_configs import StoredConfigs
from app.schemas.jobs import TrainJobRequest
from app.settings import Settings
from app.store import datasets

RULE = "unfit-option"


def profile(train: int, *labels: str, validation: int = 10, **changes: Any) -> dict[str, Any]:
    rows = {"train": train, "validation": validation, "test": 10}
    return {
        "labels": labels,
        "splits": {
            split: {"total": total, "by_label": {label: total // len(labels) for label in labels}}
            for split, total in rows.items()
        },
        "text_lengths": {"p50": 50, "p90": 90, "p99": train, "max": train},
        "duplicates": 0,
        "majority_baseline": 0.5,
        "warnings": [{"code": "few-examples", "detail": f"{labels[0]} is rare.", "remedy": "Add rows."}],
    } | changes


def family(**changes: Any) -> dict[str, Any]:
    return {"type": "multitask", "name": "tone", "tasks": {"mood": {"dataset_id": "ds_mood"}}} | changes


@pytest.fixture
def prepare(sqlite_store, new_dataset, make_settings: Callable[..., Settings]) -> Callable[..., Prepared]:
    stored = {
        "ds_tone": profile(320, "ham", "spam"),
        "ds_mood": profile(90, "ham", "sad", "glad"),
        "ds_sets": profile(90, "a", "b", problem_type="multi_label"),
        "ds_unjudged": profile(90, "a", "b", validation=0),
        "ds_untaught": profile(0, "a", "b"),
    }
    for dataset_id, known in stored.items():
        dataset = new_dataset(dataset_id)
        dataset.profile = known
        sqlite_store.do(datasets.insert, dataset)
    settings = make_settings()
    database, stored = sqlite_store.database, FileStore(settings.data_dir)
    shapes = Shapes(settings, StoredConfigs(database, stored))
    preflight = JobPreflight(database, BaseModels(settings, database), shapes)

    def run(options: dict[str, Any], **changes: Any) -> Prepared:
        body = {"model": "m", "dataset_id": "ds_tone", "base_model": "minilm-l6", "family": options} | changes
        prepared = preflight.prepare(TrainJobRequest.model_validate(body))
        assert preflight.memory(prepared) is not None
        return prepared

    return run


def refusal(prepare: Callable[..., Prepared], *args: Any, **changes: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        prepare(*args, **changes)
    return caught.value


def test_the_rows_of_all_tasks_decide_how_long_the_run_is(prepare) -> None:
    prepared = prepare(family(), hyperparameters={"num_train_epochs": 2, "batch_size": 32})
    size = prepared.estimate
    assert (size.train_rows, size.validation_rows, size.steps_per_epoch, size.total_steps) == (410, 20, 13, 26)
    assert prepared.data.labels == ["ham", "spam", "mood/ham", "mood/sad", "mood/glad"]
    assert prepared.data.text_lengths.p99 == 320
    assert [warning.detail for warning in prepared.warnings] == ["ham is rare.", "Task mood: ham is rare."]
    assert prepared.dataset.id == "ds_tone"


def test_a_run_with_copies_is_as_long_as_the_worker_makes_it(prepare) -> None:
    wishes = {"num_train_epochs": 1, "batch_size": 10, "augmentation": {"augmentation_factor": 2}}
    assert prepare(family(), hyperparameters=wishes).estimate.total_steps == 123


@pytest.mark.parametrize(
    ("dataset_id", "detail"),
    [
        ("ds_sets", "has rows with any number of labels"),
        ("ds_tone", "is the dataset of another task too"),
        ("ds_unjudged", "has no validation rows to judge the task by"),
        ("ds_untaught", "has no train rows to learn from"),
    ],
)
def test_what_a_dataset_cannot_be_a_task_of(prepare, dataset_id: str, detail: str) -> None:
    problem = refusal(prepare, family(tasks={"mood": {"dataset_id": dataset_id}}))
    [error] = problem.errors
    assert (problem.code, error.rule, error.pointer) == ("invalid-value", RULE, "/family/tasks/mood/dataset_id")
    assert error.detail == detail
    assert error.remedy


def test_two_tasks_cannot_share_a_dataset(prepare) -> None:
    both = {name: {"dataset_id": "ds_mood"} for name in ("mood", "mode")}
    assert [error.pointer for error in refusal(prepare, family(tasks=both)).errors] == [
        "/family/tasks/mood/dataset_id",
        "/family/tasks/mode/dataset_id",
    ]


def test_unknown_datasets_are_all_named(prepare) -> None:
    tasks = {"mood": {"dataset_id": "ds_mood"}, "a": {"dataset_id": "ds_9"}, "b": {"dataset_id": "../x"}}
    problem = refusal(prepare, family(tasks=tasks))
    assert problem.code == "dataset-not-found"
    assert [error.pointer for error in problem.errors] == ["/family/tasks/a/dataset_id", "/family/tasks/b/dataset_id"]


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"dataset_id": "ds_sets"}, ["/family"]),
        ({"problem_type": "multi_label"}, ["/family"]),
        ({"hyperparameters": {"curriculum": {}}}, ["/hyperparameters/curriculum"]),
        (
            {"hyperparameters": {"distillation": {"teacher": "minilm-l6"}, "thresholds": 0.3}},
            ["/hyperparameters/thresholds", "/hyperparameters/distillation"],
        ),
        ({"hyperparameters": {"metric_for_best_model": "f1:glad"}}, ["/hyperparameters/metric_for_best_model"]),
        ({"hyperparameters": {"max_length": 600}}, ["/hyperparameters/max_length"]),
    ],
)
def test_what_several_tasks_do_not_allow(prepare, changes: dict[str, Any], places: list[str]) -> None:
    assert [error.pointer for error in refusal(prepare, family(), **changes).errors] == places


@pytest.mark.parametrize(
    ("options", "place", "rule"),
    [
        ("multitask", "/family/tasks", "missing-field"),
        (family(tasks={}), "/family/tasks", "invalid-length"),
        (family(tasks={f"t{n}": {"dataset_id": "ds_mood"} for n in range(9)}), "/family/tasks", "invalid-length"),
        (family(tasks={"My Mood": {"dataset_id": "ds_mood"}}), "/family/tasks/My Mood", "invalid-format"),
        (family(tasks={"a/b": {"dataset_id": "ds_mood"}}), "/family/tasks/a~1b", "invalid-format"),
        (family(tasks={"tone": {"dataset_id": "ds_mood"}}), "/family", "cross-field"),
        (family(name="Tone"), "/family/name", "invalid-format"),
        (family(loss_weight=0), "/family/loss_weight", "out-of-range"),
        (family(tasks={"mood": {"dataset_id": "ds_mood", "loss_weight": -1}}), "/family/tasks/mood/loss_weight",
         "out-of-range"),
        (family(tasks={"mood": "ds_mood"}), "/family/tasks/mood", "invalid-type"),
        (family(tasks={"mood": {}}), "/family/tasks/mood/dataset_id", "missing-field"),
        (family(tasks={"mood": {"dataset_id": "ds_mood", "weight": 1}}), "/family/tasks/mood/weight", "unknown-field"),
    ],
)  # fmt: skip
def test_wrong_options_are_told_where_and_what(options: Any, place: str, rule: str) -> None:
    with pytest.raises(AppError) as caught:
        fields.validate(TrainJobRequest, {"model": "m", "dataset_id": "ds_tone", "family": options})
    [error] = caught.value.errors
    assert (error.pointer, error.rule) == (place, rule)
    assert error.remedy


def test_a_wrong_name_is_told_what_names_are() -> None:
    with pytest.raises(AppError) as caught:
        fields.validate(TrainJobRequest, {"family": family(tasks={"My Mood": {"dataset_id": "ds_mood"}})})
    wrong = next(error for error in caught.value.errors if error.rule == "invalid-format")
    assert "Lower-case letters" in (wrong.remedy or "")
