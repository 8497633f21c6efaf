"""Hyperparameters as flags: all of them, under their own names and the common ones."""

import pytest

from app.cli import flags
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.text import TextOptions


def test_every_field_has_a_flag() -> None:
    fields = [*Hyperparameters.model_fields, *TextOptions.model_fields]
    assert [parameter.name for parameter in flags.parameters()] == fields


def test_flags_for_texts_are_told_from_hyperparameters() -> None:
    given = {"urls": "remove", "unicode_normalization": "none", "collapse_whitespace": "false", "lowercase": True}
    read = flags.text_values({**given, "strip_mentions": None, "seed": "3"})
    assert TextOptions.model_validate(read) == TextOptions(
        urls="remove", unicode_normalization="none", collapse_whitespace=False, lowercase=True
    )
    assert flags.values({**given, "seed": "3"}) == {"seed": 3}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_train_epochs", "3", 3),
        ("num_train_epochs", "auto", "auto"),
        ("learning_rate", "3e-5", 3e-5),
        ("learning_rate", ".01", 0.01),
        ("early_stopping_patience", "null", None),
        ("early_stopping_patience", "none", None),
        ("class_weights", "none", "none"),
        ("class_weights", "balanced", "balanced"),
        ("class_weights", '{"spam": 2, "ham": 0.5}', {"spam": 2, "ham": 0.5}),
        ("metric_for_best_model", "f1:spam", "f1:spam"),
        ("gradient_checkpointing", True, True),
        ("dropout", "0.2", 0.2),
    ],
)
def test_values_are_what_the_schema_takes(name: str, text: str | bool, value: object) -> None:
    read = flags.values({name: text, "seed": None})
    assert read == {name: value}
    assert getattr(Hyperparameters.model_validate(read), name) == value


def test_evaluating_every_so_many_steps_needs_one_flag() -> None:
    wishes = Hyperparameters.model_validate(flags.values({"eval_steps": "50"}))
    assert (wishes.eval_strategy, wishes.eval_steps) == ("steps", 50)


def test_saving_every_so_many_steps_needs_one_flag() -> None:
    wishes = Hyperparameters.model_validate(flags.values({"save_steps": "50"}))
    assert (wishes.save_strategy, wishes.save_steps) == ("steps", 50)


def test_what_a_flag_takes_is_said_in_short() -> None:
    kinds = {name: flags.kind_of(field) for name, field in Hyperparameters.model_json_schema()["properties"].items()}
    assert kinds["num_train_epochs"] == "INTEGER|auto"
    assert kinds["precision"] == "fp32|bf16|fp16|auto"
    assert kinds["max_grad_norm"] == "NUMBER|null"
