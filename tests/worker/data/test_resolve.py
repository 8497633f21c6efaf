"""What every ``auto`` becomes, why, and which wishes cannot be met."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import JobFailure
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.steps import Pace
from worker.data.class_weights import balanced_weights
from worker.data.facts import Chunking, Facts, ModelFacts
from worker.data.resolve import Answers, resolve

MODEL = ModelFacts(
    position_limit=512,
    vocabulary=100,
    pad_token_id=0,
    learning_rate=3e-4,
    head_learning_rate_multiplier=3.0,
    rates_reason="measured",
    dropout=0.1,
    precision="bf16",
    precision_reason="fast here",
)


def resolved(rows: int = 900, *, counts: dict[str, int] | None = None, tokens: int = 40, **wishes: Any) -> Answers:
    counts = counts or {"a": rows // 2, "b": rows - rows // 2}
    lengths = np.full(100, tokens, dtype=np.int64)
    return resolve(Hyperparameters(**wishes), Facts(counts, lengths, MODEL))


def value(answers: Answers, name: str) -> Any:
    return getattr(answers.hyperparameters, name)


@pytest.mark.parametrize(("rows", "epochs"), [(100, 10), (4_999, 10), (5_000, 5), (19_999, 5), (20_000, 3)])
def test_small_datasets_get_more_epochs(rows: int, epochs: int) -> None:
    assert value(resolved(rows), "num_train_epochs") == epochs


@pytest.mark.parametrize(("rows", "tokens", "batch"), [(150, 40, 8), (900, 40, 16), (5_000, 40, 32), (5_000, 400, 16)])
def test_batch_size_follows_rows_and_length(rows: int, tokens: int, batch: int) -> None:
    assert value(resolved(rows, tokens=tokens), "batch_size") == batch


def test_every_auto_is_decided_and_explained() -> None:
    answers = resolved(5_000)
    decided = answers.hyperparameters.model_dump()
    assert "auto" not in json.dumps(decided)
    explained = {resolution.field: resolution.value for resolution in answers.resolutions}
    assert explained == {
        name: decided[name]
        for name in (
            "num_train_epochs",
            "batch_size",
            "learning_rate",
            "head_learning_rate_multiplier",
            "warmup_steps",
            "max_length",
            "long_text",
            "dropout",
            "precision",
        )
    }
    assert all(resolution.reason for resolution in answers.resolutions)


def test_explicit_wishes_are_kept_and_not_explained() -> None:
    wishes: dict[str, Any] = {
        "num_train_epochs": 2,
        "batch_size": 7,
        "learning_rate": 1e-5,
        "head_learning_rate_multiplier": 1.5,
        "warmup_steps": 3,
        "max_length": 33,
        "long_text": "head_tail",
        "dropout": 0.3,
        "class_weights": {"b": 2.0, "a": 1.0},
    }
    answers = resolved(**wishes, precision="fp32")
    assert {name: value(answers, name) for name in wishes} == wishes
    assert answers.resolutions == []


def test_steps_count_short_windows() -> None:
    answers = resolved(rows=101, num_train_epochs=3, batch_size=10, gradient_accumulation_steps=4)
    assert answers.total_steps == 3 * 3  # eleven batches: windows of 4, 4 and 3
    assert value(answers, "warmup_steps") == 0
    assert value(resolved(rows=1000, num_train_epochs=2, batch_size=10), "warmup_steps") == 20


@given(rows=st.integers(1, 500), batch=st.integers(1, 60), accumulation=st.integers(1, 9))
def test_windows_are_what_the_loop_cuts(rows: int, batch: int, accumulation: int) -> None:
    batches = range(0, rows, batch)
    assert Pace([rows], batch, accumulation).full_epoch() == len(range(0, len(batches), accumulation))


def test_max_steps_decides_over_epochs() -> None:
    answers = resolved(rows=100, batch_size=10, num_train_epochs=3, max_steps=45)
    assert answers.total_steps == 45
    assert value(answers, "num_train_epochs") == 5
    assert resolved(rows=100, batch_size=10, max_steps=7).hyperparameters.num_train_epochs == 1


def test_max_length_covers_99_percent_up_to_the_models_limit() -> None:
    lengths = np.array([20] * 990 + [300] * 10, dtype=np.int64)
    facts = Facts({"a": 500, "b": 500}, lengths, MODEL)
    assert resolve(Hyperparameters(), facts).hyperparameters.max_length == 23  # 99th percentile, between 20 and 300
    assert value(resolved(tokens=900), "max_length") == 512
    assert value(resolved(tokens=3), "max_length") == 8


def test_max_length_beyond_the_model_is_refused() -> None:
    with pytest.raises(JobFailure) as caught:
        resolved(max_length=513)
    assert caught.value.code == "max-length-beyond-model"
    assert caught.value.errors[0].pointer == "/hyperparameters/max_length"
    assert caught.value.errors[0].allowed == 512


@pytest.mark.parametrize(("warmup", "refused"), [(29, False), (30, True), (1000, True)])
def test_warm_up_beyond_the_run_is_refused_with_field_and_remedy(warmup: int, refused: bool) -> None:
    def decide() -> Answers:
        return resolved(rows=100, batch_size=10, num_train_epochs=3, warmup_steps=warmup)

    if not refused:
        assert decide().hyperparameters.warmup_steps == warmup
        return
    with pytest.raises(JobFailure) as caught:
        decide()
    assert caught.value.code == "warmup-beyond-run"
    assert caught.value.errors[0].pointer == "/hyperparameters/warmup_steps"
    assert "30" in caught.value.remedy


@given(ratio=st.floats(0, 0.999), epochs=st.integers(1, 20))
def test_warm_up_by_ratio_always_ends_before_the_run(ratio: float, epochs: int) -> None:
    answers = resolved(rows=16, batch_size=8, num_train_epochs=epochs, warmup_ratio=ratio)
    assert 0 <= answers.hyperparameters.warmup_steps < answers.total_steps


def test_balanced_weights_of_the_content_rating_example() -> None:
    """Counts as published in a guide whose own table used another total; the formula gives these."""
    weights = balanced_weights({"general": 3000, "teen": 1350, "mature": 550})
    assert [round(weight, 3) for weight in weights.values()] == [0.544, 1.21, 2.97]


@given(counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=8))
def test_balanced_weights_give_each_class_the_same_say(counts: list[int]) -> None:
    weights = balanced_weights({str(index): count for index, count in enumerate(counts)})
    shares = [weights[str(index)] * count for index, count in enumerate(counts)]
    assert shares == pytest.approx([sum(counts) / len(counts)] * len(counts))


def test_auto_weighs_classes_only_when_one_is_rare() -> None:
    assert value(resolved(class_weights="auto", counts={"a": 300, "b": 100}), "class_weights") == "none"
    weighed = resolved(class_weights="auto", counts={"a": 301, "b": 100})
    assert value(weighed, "class_weights") == pytest.approx({"a": 401 / 602, "b": 401 / 200})
    assert "3.0 times" in next(r.reason for r in weighed.resolutions if r.field == "class_weights")


def test_balanced_needs_rows_of_every_class() -> None:
    with pytest.raises(JobFailure) as caught:
        resolved(class_weights="balanced", counts={"a": 300, "b": 0})
    assert caught.value.code == "class-without-rows"
    assert value(resolved(class_weights="auto", counts={"a": 300, "b": 0}), "class_weights") == "none"


@pytest.mark.parametrize("weights", [{"a": 1.0}, {"a": 1.0, "b": 1.0, "bb": 2.0}])
def test_weights_must_name_the_labels(weights: dict[str, float]) -> None:
    with pytest.raises(JobFailure) as caught:
        resolved(class_weights=weights)
    assert caught.value.code == "unknown-label"
    assert caught.value.errors[0].allowed == ["a", "b"]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, {}),
        ({"lr_scheduler_type": "cosine"}, {"min_lr_ratio": 0.0}),
        (
            {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 2.0}},
            {"power": 2.0, "min_lr_ratio": 0.0},
        ),
        ({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 7}, {"timescale": 7}),
        ({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 0}, {"timescale": 10_000}),
        ({"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": 99}}, {"timescale": 99}),
    ],
)
def test_options_of_the_schedule_are_filled_in_and_no_others_are_shown(wishes: Any, expected: Any) -> None:
    shown = resolved(**wishes).hyperparameters.model_dump(mode="json")["lr_scheduler_kwargs"]
    assert shown == expected


def test_restarts_make_three_cycles_unless_told_otherwise() -> None:
    wishes: dict[str, Any] = {"max_steps": 80, "warmup_steps": 10, "lr_scheduler_type": "cosine_with_restarts"}
    answers = resolved(**wishes, lr_scheduler_kwargs={"T_mult": 2})
    assert value(answers, "lr_scheduler_kwargs").T_0 == 10  # 10 + 20 + 40
    assert {item.field: item.value for item in answers.resolutions}["lr_scheduler_kwargs.T_0"] == 10
    assert value(resolved(**wishes, lr_scheduler_kwargs={"T_0": 7}), "lr_scheduler_kwargs").T_0 == 7


def test_one_cycle_shows_its_rise_as_warm_up() -> None:
    answers = resolved(max_steps=200, lr_scheduler_type="one_cycle", lr_scheduler_kwargs={"pct_start": 0.1})
    assert value(answers, "warmup_steps") == 20
    assert value(answers, "lr_scheduler_kwargs").max_momentum == 0.95


def test_head_on_a_frozen_base_learns_faster() -> None:
    answers = resolved(freeze_base=True)
    assert value(answers, "learning_rate") == 1e-3
    assert value(answers, "head_learning_rate_multiplier") == 1.0
    assert value(resolved(freeze_base=True, learning_rate=0.02), "learning_rate") == 0.02


def test_adafactor_learns_at_a_rate_relative_to_the_weights() -> None:
    plain, relative = resolved(), resolved(optim="adafactor")
    assert value(relative, "learning_rate") == pytest.approx(25 * value(plain, "learning_rate"))
    assert value(resolved(optim="adafactor", learning_rate=0.01), "learning_rate") == 0.01
    assert value(resolved(optim="adafactor", freeze_base=True), "learning_rate") == 0.025


def in_chunks(length: int | str = "auto", *, overlap: int = 0, limit: int = 512, **wishes: Any) -> Answers:
    model = replace(MODEL, position_limit=limit, chunking=Chunking(length, 20, overlap))  # type: ignore[arg-type]
    return resolve(Hyperparameters(**wishes), Facts({"a": 9, "b": 9}, np.array([30, 4000]), model))


@pytest.mark.parametrize(
    ("chunk", "wishes", "limit", "length"),
    [
        ("auto", {}, 512, 512),
        ("auto", {}, 130, 130),
        ("auto", {}, 8192, 512),
        ("auto", {"max_length": 1024}, 8192, 1024),
        (64, {}, 512, 64),
    ],
)
def test_max_length_is_that_of_a_chunk(chunk: int | str, wishes: dict[str, Any], limit: int, length: int) -> None:
    answers = in_chunks(chunk, limit=limit, **wishes)
    assert value(answers, "max_length") == length
    assert (value(answers, "long_text"), value(answers, "batch_size")) == ("hierarchical", 4)
    assert value(in_chunks(long_text="error"), "long_text") == "error"


@pytest.mark.parametrize(
    ("chunk", "wishes", "code", "place"),
    [
        (600, {}, "max-length-beyond-model", "/family/chunk_length"),
        ("auto", {"max_length": 600}, "max-length-beyond-model", "/hyperparameters/max_length"),
        ("auto", {"overlap": 257}, "overlap-beyond-chunk", "/family/overlap"),
    ],
)
def test_chunks_that_do_not_fit_the_model_are_refused(
    chunk: int | str, wishes: dict[str, Any], code: str, place: str
) -> None:
    with pytest.raises(JobFailure) as failure:
        in_chunks(chunk, **wishes)
    assert (failure.value.code, failure.value.errors[0].pointer) == (code, place)


def test_texts_read_as_a_whole_are_truncated_unless_asked_otherwise() -> None:
    assert value(resolved(), "long_text") == "truncate"
    assert value(resolved(long_text="head_tail"), "long_text") == "head_tail"
