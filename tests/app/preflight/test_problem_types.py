"""What a job asks of labels must be what the dataset has."""

from typing import Any

import pytest

from app.preflight.problem_types import problem_type_of, unfit_problem
from app.schemas.datasets import DatasetProfile, ProblemType, SplitCounts, TextLengths
from app.schemas.jobs import TrainJobRequest

MULTI, SINGLE = "multi_label", "single_label"


def profile(problem_type: ProblemType) -> DatasetProfile:
    split = SplitCounts(total=9, by_label={"a": 5, "b": 4})
    return DatasetProfile(
        labels=["a", "b"],
        problem_type=problem_type,
        splits={"train": split, "validation": split, "test": split},
        text_lengths=TextLengths(p50=1, p90=1, p99=1, max=1),
        duplicates=0,
        majority_baseline=0.5,
        warnings=[],
    )


def request(**fields: Any) -> TrainJobRequest:
    return TrainJobRequest.model_validate({"model": "m", "dataset_id": "ds_1"} | fields)


@pytest.mark.parametrize(
    ("asked", "dataset", "trained"),
    [("auto", SINGLE, SINGLE), ("auto", MULTI, MULTI), (MULTI, SINGLE, MULTI), (SINGLE, SINGLE, SINGLE)],
)
def test_the_dataset_decides_unless_asked(asked: str, dataset: ProblemType, trained: ProblemType) -> None:
    job = request(problem_type=asked)
    assert problem_type_of(job, profile(dataset)) == trained
    assert list(unfit_problem(job, profile(dataset))) == []


@pytest.mark.parametrize(
    ("job", "dataset", "place"),
    [
        (request(problem_type=SINGLE), MULTI, "/problem_type"),
        (request(hyperparameters={"thresholds": "tuned"}), SINGLE, "/hyperparameters/thresholds"),
        (request(hyperparameters={"thresholds": {"c": 0.3}}), MULTI, "/hyperparameters/thresholds/c"),
        (request(decision={"abstain_below": 0.5}), MULTI, "/decision/abstain_below"),
        (request(hyperparameters={"distillation": {"teacher": "model:x"}}), MULTI, "/hyperparameters/distillation"),
    ],
)
def test_what_the_labels_do_not_allow_is_refused(job: TrainJobRequest, dataset: ProblemType, place: str) -> None:
    [error] = unfit_problem(job, profile(dataset))
    assert error.pointer == place


def test_thresholds_of_known_labels_are_fine() -> None:
    wish = {"thresholds": {"b": 0.3}}
    assert list(unfit_problem(request(problem_type=MULTI, hyperparameters=wish), profile(SINGLE))) == []
