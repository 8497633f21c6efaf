"""Defaults in one word: what is given wins, what does not fit is adapted, and what came from where is told."""

from typing import Any

import pytest

from app.preflight.families import unfit_options
from app.preflight.profiles import fill
from app.schemas.datasets import DatasetProfile, SplitCounts, TextLengths
from app.schemas.families import EncoderOptions, HierarchicalOptions
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest
from app.schemas.profiles import PROFILES, ProfileName

NAMES: list[ProfileName] = list(PROFILES)


def data(rows: int) -> DatasetProfile:
    half = {"a": rows // 2, "b": rows // 2}
    return DatasetProfile(
        labels=["a", "b"],
        splits={
            "train": SplitCounts(total=rows, by_label=half),
            "validation": SplitCounts(total=rows // 10, by_label={}),
        },
        text_lengths=TextLengths(p50=1, p90=1, p99=1, max=1),
        duplicates=0,
        majority_baseline=0.5,
        warnings=[],
    )


def request(**fields: Any) -> TrainJobRequest:
    return TrainJobRequest.model_validate({"model": "m", "dataset_id": "ds_1", **fields})


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_is_taken_whole_where_nothing_is_given(name: ProfileName) -> None:
    filled = fill(request(profile=name), data(100_000))
    assert filled.request.base_model == PROFILES[name].base_model
    wishes = filled.request.hyperparameters.model_dump()
    assert {field: wishes[field] for field in PROFILES[name].hyperparameters} == PROFILES[name].hyperparameters
    told = {resolution.field: resolution.reason for resolution in filled.resolutions}
    family = [] if PROFILES[name].family is None else ["family"]
    assert filled.request.family == (PROFILES[name].family or EncoderOptions())
    text = {f"text.{field}" for field in PROFILES[name].text}
    assert filled.request.text.model_dump(exclude_unset=True) == PROFILES[name].text
    assert told == dict.fromkeys(["base_model", *PROFILES[name].hyperparameters, *family, *text], f"profile {name}")
    assert filled.warnings == []


def test_without_a_profile_nothing_changes() -> None:
    plain = request(hyperparameters={"batch_size": 4})
    filled = fill(plain, data(100))
    assert (filled.request, filled.resolutions, filled.warnings) == (plain, [], [])


def test_what_is_given_wins_even_where_it_is_the_default_of_every_job() -> None:
    wishes = {"learning_rate": "auto", "batch_size": 4, "early_stopping_patience": 3}
    filled = fill(
        request(profile="twitter-bert", base_model="distilbert-base-uncased", hyperparameters=wishes), data(9000)
    )
    result = filled.request.hyperparameters
    assert (result.learning_rate, result.batch_size, result.early_stopping_patience) == ("auto", 4, 3)
    assert result.num_train_epochs == 4
    assert filled.request.base_model == "distilbert-base-uncased"
    assert not {"learning_rate", "batch_size", "base_model"} & {each.field for each in filled.resolutions}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"warmup_ratio": 0.2}, {"warmup_ratio": 0.2, "warmup_steps": None}),
        ({"eval_strategy": "epoch"}, {"eval_strategy": "epoch", "eval_steps": None}),
        ({"eval_strategy": "steps", "eval_steps": 7}, {"eval_strategy": "steps", "eval_steps": 7}),
    ],
)
def test_fields_that_exclude_each_other_are_decided_together(given: dict[str, Any], expected: dict[str, Any]) -> None:
    result = fill(request(profile="rt-sentiment", hyperparameters=given), data(100_000)).request.hyperparameters
    assert {name: getattr(result, name) for name in expected} == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wishes", [{}, {"max_steps": 10}, {"max_steps": 600}])
@pytest.mark.parametrize("rows", [20, 400, 5_000, 100_000])
def test_a_profile_fits_any_dataset(name: ProfileName, wishes: dict[str, Any], rows: int) -> None:
    result = fill(request(profile=name, hyperparameters=wishes), data(rows)).request.hyperparameters
    assert Hyperparameters.model_validate(result.model_dump()) == result


def test_a_short_run_adapts_what_is_counted_in_steps_and_says_so() -> None:
    filled = fill(request(profile="research"), data(400))
    result = filled.request.hyperparameters
    assert (result.warmup_steps, result.warmup_ratio) == (None, 0.1)
    assert (result.eval_strategy, result.eval_steps, result.logging_steps) == ("epoch", None, 10)
    [warning] = filled.warnings
    assert warning.code == "profile-adapted"
    assert "only 250 optimizer steps" in warning.detail
    for told in ("500 warm-up steps", "every 500 steps", "saves", "every 1000 steps", "curves every 10 steps"):
        assert told in warning.detail
    assert (result.save_strategy, result.save_steps, result.save_total_limit) == ("time", None, 3)
    values = {resolution.field: resolution.value for resolution in filled.resolutions}
    assert (values["warmup_ratio"], values["deterministic"]) == (0.1, "true")
    assert "warmup_steps" not in values


def test_a_null_of_a_profile_is_told_as_null() -> None:
    filled = fill(request(profile="twitter-bert"), data(9000))
    assert filled.request.hyperparameters.early_stopping_patience is None
    assert {each.field: each.value for each in filled.resolutions}["early_stopping_patience"] == "null"


def test_a_schedule_that_warms_up_by_itself_drops_the_warm_up_of_the_profile() -> None:
    filled = fill(request(profile="research", hyperparameters={"lr_scheduler_type": "one_cycle"}), data(100_000))
    assert filled.request.hyperparameters.warmup_steps is None
    assert "warmup_steps" not in [resolution.field for resolution in filled.resolutions]


def test_a_family_that_is_given_wins_over_that_of_the_profile() -> None:
    fewer = {"type": "hierarchical", "max_chunks": 15}
    filled = fill(request(profile="hierarchical-roberta", family=fewer), data(9000))
    assert filled.request.family == HierarchicalOptions(max_chunks=15)
    assert "family" not in {each.field for each in filled.resolutions}
    assert (
        fill(request(profile="hierarchical-roberta", family="encoder"), data(9000)).request.family == EncoderOptions()
    )


def test_long_documents_are_trained_as_their_profile_says() -> None:
    filled = fill(request(profile="hierarchical-roberta"), data(9000)).request
    assert filled.family == HierarchicalOptions(max_chunks=20)
    wishes = filled.hyperparameters
    assert (wishes.batch_size, wishes.gradient_accumulation_steps) == (4, 4)
    assert (wishes.learning_rate, wishes.head_learning_rate_multiplier) == (2e-5, 2.0)
    assert (wishes.lr_scheduler_type, wishes.warmup_ratio) == ("linear_warmup_cosine", 0.1)
    assert (wishes.early_stopping_patience, wishes.early_stopping_threshold) == (5, 0.001)
    assert wishes.class_weights == "balanced"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hierarchical-roberta"])
def test_the_head_learns_at_the_one_rate_of_the_recipe(name: ProfileName) -> None:
    assert fill(request(profile=name), data(9000)).request.hyperparameters.head_learning_rate_multiplier == 1


def test_profiles_save_and_schedule_as_their_recipes() -> None:
    def saving(name: ProfileName) -> tuple[Any, ...]:
        wishes = fill(request(profile=name), data(100_000)).request.hyperparameters
        return wishes.save_strategy, wishes.save_steps, wishes.save_total_limit, wishes.lr_scheduler_type

    assert saving("rt-sentiment") == ("steps", 500, 2, "linear")
    assert saving("twitter-bert") == ("epoch", None, 2, "linear")
    assert saving("nepali-mbert") == ("epoch", None, 2, "constant")
    assert saving("research") == ("steps", 1000, 3, "linear")


def test_the_cleaning_of_a_profile_gives_way_to_what_is_given() -> None:
    assert fill(request(profile="rt-sentiment"), data(9000)).request.text.urls == "remove"
    filled = fill(request(profile="rt-sentiment", text={"urls": "keep", "lowercase": True}), data(9000))
    assert (filled.request.text.urls, filled.request.text.lowercase) == ("keep", True)
    assert "text.urls" not in {each.field for each in filled.resolutions}


@pytest.mark.parametrize("name", ["twitter-bert", "research"])
def test_the_dropout_of_a_family_is_not_overruled_by_a_profile(name: ProfileName) -> None:
    chunks = {"type": "hierarchical", "dropout": 0.4}
    filled = fill(request(profile=name, family=chunks), data(100_000))
    assert filled.request.hyperparameters.dropout is None
    assert filled.request.family == HierarchicalOptions(dropout=0.4)
    assert list(unfit_options(filled.request)) == []


def test_the_length_of_a_chunk_drops_the_length_that_a_profile_gives() -> None:
    chunks = {"type": "hierarchical", "chunk_length": 256}
    assert fill(request(profile="rt-sentiment", family=chunks), data(9000)).request.hyperparameters.max_length == "auto"


@pytest.mark.parametrize("name", NAMES)
def test_a_network_from_scratch_takes_neither_base_model_nor_rates_of_a_pretrained_one(name: ProfileName) -> None:
    asked = request(profile=name, family={"type": "textcnn", "dropout": 0.4})
    filled = fill(asked, data(100_000))
    assert list(unfit_options(filled.request)) == []
    wishes = filled.request.hyperparameters
    assert (wishes.learning_rate, wishes.dropout) == ("auto", None)
    assert wishes.num_train_epochs == PROFILES[name].hyperparameters["num_train_epochs"]
    assert not {"learning_rate", "dropout", "base_model"} & {each.field for each in filled.resolutions}
    [warning] = filled.warnings
    assert warning.code == "profile-adapted"
    assert "learning_rate" in warning.detail


def test_a_network_from_scratch_takes_the_tokenizer_of_the_profile_where_it_wants_one() -> None:
    family = {"type": "textcnn", "tokenizer": "base_model"}
    filled = fill(request(profile="nepali-mbert", family=family), data(9000))
    assert filled.request.base_model == "bert-base-multilingual-cased"
    given = fill(request(profile="research", family="textcnn", hyperparameters={"learning_rate": 1e-3}), data(100_000))
    assert given.request.hyperparameters.learning_rate == 1e-3
