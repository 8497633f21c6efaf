"""The examination as a whole: healthy runs, precedence, any history at all."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.doctor.diagnosis import RULES, URGENCY, diagnose
from app.doctor.facts import Facts
from app.schemas.diagnoses import Change, Diagnosis
from app.schemas.hyperparameters import Hyperparameters, ResolvedHyperparameters
from app.store.metrics import Point

Examine = Callable[..., dict[str, Diagnosis]]

NAMES = ["train/loss", "eval/loss", "eval/f1_macro", "eval/accuracy", "train/grad_norm", "train/examples_per_second"]
FLOATS = st.floats() | st.floats(0, 3) | st.sampled_from([0.0, 1.05, 0.35, -1.0, 1e308, 5e-324])
POINTS = st.lists(
    st.builds(Point, st.sampled_from([*NAMES, "", "eval/f1:é"]), st.integers(-5, 60), FLOATS, FLOATS), max_size=40
)
COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**6), max_size=4)
WISHES = st.builds(
    ResolvedHyperparameters,
    num_train_epochs=st.integers(1, 1000),
    batch_size=st.just(16),
    learning_rate=st.floats(0, 1, exclude_min=True),
    head_learning_rate_multiplier=st.just(1.0),
    class_weights=st.just("none") | st.dictionaries(st.sampled_from("abc"), st.floats(1e-9, 1e9), min_size=1),
    dropout=st.floats(0, 1, exclude_max=True),
    max_length=st.integers(8, 8192),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    warmup_steps=st.integers(0, 50),
    max_grad_norm=st.none() | st.floats(0.1, 100),
    gradient_accumulation_steps=st.integers(1, 1024),
    label_smoothing_factor=st.floats(0, 1, exclude_max=True),
    weight_decay=st.floats(0, 1),
    early_stopping_patience=st.none() | st.integers(1, 1000),
    early_stopping_threshold=st.floats(0, 1),
    max_steps=st.none() | st.integers(51, 10_000_000),
    metric_for_best_model=st.sampled_from(["f1_macro", "loss", "accuracy", "f1:é"]),
).map(ResolvedHyperparameters.model_dump)
GARBAGE = st.dictionaries(
    st.sampled_from([*ResolvedHyperparameters.model_fields, "other"]),
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=2)
    | st.dictionaries(st.text(), st.floats() | st.text()),
)


def facts(wishes: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Facts]:
    return st.builds(
        Facts,
        hyperparameters=wishes,
        label_counts=COUNTS,
        majority_baseline=st.none() | st.floats(0, 1),
        stop_reason=st.sampled_from([None, "completed", "early_stopping", "max_steps"]),
        error_code=st.sampled_from([None, "training-diverged", "gpu-out-of-memory"]),
        finished=st.booleans(),
        total_steps=st.none() | st.integers(-1, 10_000),
    )


def test_a_healthy_run_has_no_diagnosis(examine: Examine, healthy: dict[str, list[float]]) -> None:
    assert examine(healthy) == {}
    assert examine(healthy, finished=False) == {}


@pytest.mark.parametrize("length", range(1, 6))
def test_a_healthy_run_under_way_has_no_diagnosis(
    examine: Examine, healthy: dict[str, list[float]], length: int
) -> None:
    assert examine({name: values[:length] for name, values in healthy.items()}, finished=False) == {}


def test_no_points_no_facts_no_diagnosis() -> None:
    assert diagnose([]) == []


def test_the_gravest_finding_comes_first(examine: Examine) -> None:
    found = examine(
        {
            "train/loss": [1.05, 1.04, 1.05],
            "train/examples_per_second": [9, 9, 9, 9, 9, 1, 1, 1, 1, 1],
            "eval/accuracy": [0.61, 0.61, 0.61],
            "eval/f1_macro": [0.25, 0.25, 0.25],
        },
        label_counts={"general": 300, "teen": 290, "mature": 110},
        majority_baseline=0.6,
    )
    assert list(found) == ["not_learning", "imbalanced", "slow_training"]


def test_a_change_speaks_the_language_of_the_request() -> None:
    change = Change(field="learning_rate", from_=2e-5, to=1e-5, why="smaller steps")
    assert change.model_dump_json() == '{"field":"learning_rate","from":0.00002,"to":0.00001,"why":"smaller steps"}'
    assert Change.model_validate_json(change.model_dump_json()) == change


@settings(max_examples=100, deadline=None)
@given(POINTS, facts(WISHES))
def test_no_history_breaks_the_doctor_and_every_advice_is_legal(points: list[Point], known: Facts) -> None:
    found = diagnose(points, known)

    assert [URGENCY[each.severity] for each in found] == sorted(URGENCY[each.severity] for each in found)
    assert len({each.code for each in found}) == len(found)
    for each in found:
        assert each.code in RULES
        assert each.evidence
        assert Diagnosis.model_validate_json(each.model_dump_json()).code == each.code
        changed = {change.field: change.to for change in each.changes if change.field in Hyperparameters.model_fields}
        try:
            Hyperparameters.model_validate({**known.hyperparameters, **changed})
        except ValidationError as error:
            pytest.fail(f"{each.code} proposes {changed}: {error}")


@settings(max_examples=60, deadline=None)
@given(POINTS, facts(GARBAGE))
def test_not_even_hyperparameters_of_any_shape_break_the_doctor(points: list[Point], known: Facts) -> None:
    for diagnosis in diagnose(points, known):
        assert diagnosis.model_dump_json()
