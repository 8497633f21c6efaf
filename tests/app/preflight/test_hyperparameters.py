"""Hyperparameters that contradict each other are refused in words that say what to do."""

from typing import Any

import pytest

from app.errors import FieldError, Unprocessable
from app.preflight.fields import validate
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest


def broken(**hyperparameters: Any) -> FieldError:
    with pytest.raises(Unprocessable) as caught:
        validate(TrainJobRequest, {"model": "m", "dataset_id": "ds_1", "hyperparameters": hyperparameters})
    (error,) = caught.value.errors
    return error


@pytest.mark.parametrize(
    ("wishes", "place", "words"),
    [
        ({"lr_scheduler_kwargs": {"T_0": 5}}, "", "T_0 belongs to cosine_with_restarts, not to linear"),
        (
            {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"power": 2.0}},
            "",
            "power belongs to polynomial, not to cosine; it takes min_lr_ratio",
        ),
        ({"lr_scheduler_type": "one_cycle", "warmup_ratio": 0.1}, "", "set pct_start in lr_scheduler_kwargs"),
        (
            {"lr_scheduler_type": "one_cycle", "lr_scheduler_kwargs": {"three_phase": True, "pct_start": 0.6}},
            "/lr_scheduler_kwargs",
            "pct_start must be at most 0.5",
        ),
        ({"freeze_base": True, "unfreeze_schedule": {"1": "all"}}, "", "exclude each other"),
        ({"unfreeze_schedule": {"1": "all", "2": 3}}, "", "must never freeze again"),
        ({"unfreeze_schedule": {"2": 1, "10": 0}}, "", "must never freeze again"),
        ({"unfreeze_schedule": {"1": "most"}}, "/unfreeze_schedule/1", '"all"'),
        ({"unfreeze_schedule": {"two": 1}}, "", "are epochs"),
        ({"unfreeze_schedule": {}}, "/unfreeze_schedule", "1"),
        ({"save_steps": 10}, "", "belong together"),
        ({"save_strategy": "steps"}, "", "belong together"),
        ({"focal_gamma": 2.0}, "", "focal_gamma needs loss 'focal'"),
        ({"metric_for_best_model": {"f1:a": 0.5, "f1:b": 0.4}}, "", "add up to 0.9, not to 1"),
        ({"metric_for_best_model": {"f1:a": 0.5, "loss": 0.5}}, "", "better when smaller"),
        ({"metric_for_best_model": {"f1": 1.0}}, "", "its keys are metrics"),
        ({"metric_for_best_model": {"f1:a": 1.5, "f1:b": -0.5}}, "/metric_for_best_model/f1:b", "above 0"),
        ({"optim": "adafactor", "adam_beta2": 0.9}, "", "adam_beta2 belongs to optim 'adamw', not to 'adafactor'"),
        ({"optim": "adafactor", "lr_scheduler_type": "one_cycle"}, "", "set cycle_momentum to false"),
        ({"optim": "lamb"}, "/optim", '"adamw", "adafactor"'),
        ({"lr_scheduler_kwargs": {"T_0": 0}}, "/lr_scheduler_kwargs/T_0", "from 1 to 10000000"),
    ],
)
def test_contradictions_are_refused(wishes: dict[str, Any], place: str, words: str) -> None:
    error = broken(**wishes)
    assert error.pointer == f"/hyperparameters{place}"
    assert words in error.detail


def test_unknown_option_of_a_schedule_names_the_known_ones() -> None:
    error = broken(lr_scheduler_kwargs={"T0": 5})
    assert (error.rule, error.remedy) == ("unknown-field", "Did you mean T_0?")


@pytest.mark.parametrize("kind", Hyperparameters.model_json_schema()["properties"]["lr_scheduler_type"]["enum"])
def test_what_was_accepted_once_is_accepted_as_it_is_stored(kind: str) -> None:
    """A job is written out with every default, and read again by the worker."""
    stored = Hyperparameters.model_validate({"lr_scheduler_type": kind, "lr_scheduler_kwargs": {}}).model_dump()
    assert Hyperparameters.model_validate(stored).model_dump() == stored


def test_adafactor_is_accepted_as_it_is_stored() -> None:
    cycle = {"lr_scheduler_type": "one_cycle", "lr_scheduler_kwargs": {"cycle_momentum": False}}
    stored = Hyperparameters.model_validate({"optim": "adafactor"} | cycle).model_dump()
    assert Hyperparameters.model_validate(stored).model_dump() == stored
