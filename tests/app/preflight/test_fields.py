"""What pydantic finds wrong becomes rules, pointers, allowed values and remedies."""

import time
from typing import Any

import pytest

from app.errors import FieldError, Unprocessable
from app.preflight.fields import validate
from app.schemas.hints import ALIASES, DROPPED
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest
from app.schemas.predictions import PredictRequest

JOB: dict[str, Any] = {"model": "m", "dataset_id": "ds_1"}


def refusal(body: Any) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        validate(TrainJobRequest, body)
    return caught.value


def broken(**hyperparameters: Any) -> FieldError:
    (error,) = refusal(JOB | {"hyperparameters": hyperparameters}).errors
    return error


def test_a_sound_body_passes() -> None:
    assert validate(TrainJobRequest, JOB).hyperparameters.seed == 42


@pytest.mark.parametrize("body", [None, [], "x", 3, True])
def test_what_is_no_object_is_an_invalid_body(body: Any) -> None:
    problem = refusal(body)
    assert problem.code == "invalid-body"
    assert "dataset_id" in problem.errors[0].allowed


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("epcohs", None), ("learning_rat", "learning_rate"), ("lr", "learning_rate"), ("epochs", "num_train_epochs")],
)
def test_an_unknown_field_is_refused_with_the_name_that_was_meant(wrong: str, meant: str | None) -> None:
    error = broken(**{wrong: 1})
    assert (error.pointer, error.rule) == (f"/hyperparameters/{wrong}", "unknown-field")
    if meant:
        assert error.remedy == f"Did you mean {meant}?"
    assert "num_train_epochs" in error.allowed


def test_a_field_in_the_wrong_place_is_told_its_place() -> None:
    assert refusal(JOB | {"lr": 1e-5}).remedy == "It belongs at /hyperparameters/learning_rate."


def test_every_alias_leads_to_a_field_that_exists() -> None:
    fields = {*TrainJobRequest.model_fields, *Hyperparameters.model_fields, *PredictRequest.model_fields, "alias"}
    assert set(ALIASES.values()) <= fields
    assert not {*ALIASES, *DROPPED} & {*Hyperparameters.model_fields}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dataloader_num_workers", "tokenized once"),
        ("attention_probs_dropout_prob", "base model"),
        ("hidden_dropout_prob", "base model"),
        ("fp16_opt_level", "precision"),
    ],
)
def test_a_name_from_elsewhere_that_needs_no_field_is_refused_with_the_reason(name: str, reason: str) -> None:
    error = broken(**{name: 1})
    assert (error.pointer, error.rule) == (f"/hyperparameters/{name}", "unknown-field")
    assert error.remedy.startswith("Remove it: ")
    assert reason in error.remedy


@pytest.mark.parametrize("value", ["3", 3.0, True, [3], None])
def test_nothing_is_coerced(value: Any) -> None:
    error = broken(num_train_epochs=value)
    expected = "not-allowed" if value == "3" else "invalid-type"
    assert (error.rule, error.pointer) == (expected, "/hyperparameters/num_train_epochs")
    assert error.detail == 'must be an integer from 1 to 1000, or "auto"'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_train_epochs", 0),
        ("num_train_epochs", 10**9),
        ("batch_size", 0),
        ("batch_size", -1),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("early_stopping_patience", 0),
        ("seed", 2**70),
        ("weight_decay", -0.1),
    ],
)
def test_out_of_range_names_the_range(name: str, value: float) -> None:
    error = broken(**{name: value})
    assert error.rule == "out-of-range"
    assert "from" in error.detail or "above" in error.detail or "at least" in error.detail
    assert refusal(JOB | {"hyperparameters": {name: value}}).code == "invalid-hyperparameter"


def test_a_choice_lists_what_may_be_chosen() -> None:
    error = broken(lr_scheduler_type="cosin")
    assert error.rule == "not-allowed"
    assert {"linear", "cosine", "constant"} <= set(error.allowed)


def test_a_union_complains_about_the_branch_that_was_meant() -> None:
    error = broken(class_weights={"spam": -1.0})
    assert (error.pointer, error.rule) == ("/hyperparameters/class_weights/spam", "out-of-range")


def test_rules_across_fields() -> None:
    error = broken(warmup_steps=3, warmup_ratio=0.1)
    assert (error.rule, error.remedy) == ("cross-field", "Give one of them.")
    assert broken(warmup_steps=3, max_steps=3).remedy == "Change max_steps or warmup_steps."
    assert "eval_steps" in broken(eval_strategy="steps").detail
    assert "max_steps" in broken(max_steps=5, warmup_steps=5).detail


def test_all_broken_rules_come_at_once_the_gravest_first() -> None:
    problem = refusal({"model": "A B", "hyperparameters": {"lr": 1, "batch_size": 0}})
    assert [error.rule for error in problem.errors] == [
        "unknown-field",
        "missing-field",
        "out-of-range",
        "invalid-format",
    ]
    assert problem.code == "unknown-field"
    assert "3 more" in problem.detail


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/abs",
        "a/b/c",
        "file:///x",
        "http://169.254.169.254/",
        "x" * 300,
        "org/name@{u}",
        "",
        "a\nb",
    ],
)
def test_paths_and_urls_are_no_base_models(name: str) -> None:
    problem = refusal(JOB | {"base_model": name})
    assert problem.code == "unknown-base-model"
    assert name == "" or name not in problem.detail


@pytest.mark.parametrize("field", ["trust_remote_code", "revision"])
def test_nobody_can_ask_for_remote_code(field: str) -> None:
    assert refusal(JOB | {field: True}).code == "unknown-field"


def test_inputs_of_predict() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(PredictRequest, {"model": "m", "inputs": ["a", 3]})
    assert caught.value.errors[0].pointer == "/inputs/1"


def test_a_body_of_a_hundred_thousand_unknown_fields_is_cheap() -> None:
    started = time.process_time()
    problem = refusal(JOB | {f"learning_rate{number}": 1 for number in range(100_000)})
    assert len(problem.errors) <= 50
    assert time.process_time() - started < 3
