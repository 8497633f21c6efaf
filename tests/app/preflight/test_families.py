"""A family is refused together with what it would have to ignore, and its options with their own bounds."""

from typing import Any

import pytest

from app.errors import AppError
from app.preflight import fields
from app.preflight.families import needs_base_model, unfit_options, unread_options
from app.schemas.families import EncoderOptions, TextCNNOptions
from app.schemas.jobs import TrainJobRequest

OWN = {"type": "textcnn", "tokenizer": "own"}
CHUNKS = {"type": "hierarchical", "chunk_length": 128}
BORROWED = {"type": "textcnn", "tokenizer": "base_model"}


def request(**fields: Any) -> TrainJobRequest:
    return TrainJobRequest.model_validate({"model": "m", "dataset_id": "ds_1"} | fields)


def refusal(family: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        fields.validate(TrainJobRequest, {"model": "m", "dataset_id": "ds_1", "family": family})
    return caught.value


def test_a_name_means_its_defaults() -> None:
    assert request().family == request(family="encoder").family == EncoderOptions()
    assert request(family="textcnn").family == TextCNNOptions()
    assert request(family=OWN | {"dropout": 0.3}).family == TextCNNOptions(dropout=0.3)


@pytest.mark.parametrize(
    ("family", "base_model", "needed"),
    [
        ("encoder", None, True),
        (OWN, None, False),
        (BORROWED, None, True),
        (OWN, "model:mood", True),
    ],
)
def test_only_a_network_from_scratch_needs_no_base_model(family: Any, base_model: str | None, needed: bool) -> None:
    given = {} if base_model is None else {"base_model": base_model}
    assert needs_base_model(request(family=family, **given)) is needed


@pytest.mark.parametrize(
    ("wish", "places"),
    [
        ({"family": OWN}, []),
        ({"family": OWN, "base_model": "model:mood"}, []),
        ({"family": BORROWED, "base_model": "minilm-l6"}, []),
        ({"family": OWN, "base_model": "minilm-l6"}, ["/base_model"]),
        (
            {"family": OWN, "hyperparameters": {"gradient_checkpointing": True}},
            ["/hyperparameters/gradient_checkpointing"],
        ),
        ({"hyperparameters": {"gradient_checkpointing": True}}, []),
        ({"family": CHUNKS | {"overlap": 64}, "hyperparameters": {"gradient_checkpointing": True}}, []),
        ({"family": CHUNKS, "hyperparameters": {"max_length": 128, "long_text": "error"}}, []),
        ({"family": CHUNKS, "hyperparameters": {"max_length": 256}}, ["/family/chunk_length"]),
        ({"family": CHUNKS | {"overlap": 65}}, ["/family/overlap"]),
        (
            {"family": {"type": "hierarchical", "overlap": 9}, "hyperparameters": {"max_length": 16}},
            ["/family/overlap"],
        ),
        ({"family": CHUNKS, "hyperparameters": {"long_text": "head_tail"}}, ["/hyperparameters/long_text"]),
        ({"family": CHUNKS, "hyperparameters": {"long_text": "hierarchical"}}, []),
        ({"family": OWN, "hyperparameters": {"long_text": "head_tail"}}, []),
        ({"hyperparameters": {"long_text": "hierarchical"}}, ["/hyperparameters/long_text"]),
        ({"family": CHUNKS | {"dropout": 0.4}, "hyperparameters": {"dropout": 0.2}}, ["/family/dropout"]),
        ({"family": OWN | {"dropout": 0.4}, "hyperparameters": {"dropout": 0.2}}, ["/family/dropout"]),
        ({"family": OWN | {"dropout": 0.4}, "hyperparameters": {"dropout": 0.4}}, []),
        ({"family": OWN, "hyperparameters": {"dropout": 0.4}}, []),
    ],
)
def test_what_would_be_ignored_is_refused(wish: dict[str, Any], places: list[str]) -> None:
    assert [error.pointer for error in unfit_options(request(**wish))] == places


ALL_OF_TEXTCNN = {
    "type": "textcnn",
    "tokenizer_algorithm": "bpe",
    "lowercase": True,
    "vocab_size": 400,
    "embed_size": 8,
    "num_filters": 4,
    "filter_sizes": [2],
    "dropout": 0.2,
}
FREEZING = [{"freeze_base": True}, {"unfreeze_schedule": {"1": "all"}}]


@pytest.mark.parametrize(
    ("family", "begun_as", "names"),
    [
        (ALL_OF_TEXTCNN, None, []),
        (
            ALL_OF_TEXTCNN,
            "textcnn",
            ["tokenizer_algorithm", "lowercase", "vocab_size", "embed_size", "num_filters", "filter_sizes"],
        ),
        (ALL_OF_TEXTCNN | BORROWED, None, ["tokenizer_algorithm", "lowercase", "vocab_size"]),
        (ALL_OF_TEXTCNN | BORROWED, "encoder", ["tokenizer_algorithm", "lowercase", "vocab_size"]),
        ({"type": "textcnn", "dropout": 0.2}, "textcnn", []),
        (CHUNKS | {"attention_size": 8, "dropout": 0.2}, "hierarchical", ["attention_size"]),
        (CHUNKS | {"attention_size": 8}, "encoder", []),
        ("encoder", "encoder", []),
    ],
)
def test_what_the_start_of_the_training_decides_is_refused(family: Any, begun_as: str | None, names: list[str]) -> None:
    found = list(unread_options(request(family=family, base_model="model:mood"), begun_as))
    assert sorted(error.pointer for error in found) == sorted(f"/family/{name}" for name in names)
    assert {error.remedy for error in found} <= {"Leave it out."}


@pytest.mark.parametrize("wish", FREEZING)
@pytest.mark.parametrize(
    ("family", "begun_as", "refused"),
    [(OWN, None, True), (BORROWED, "encoder", True), (OWN, "textcnn", False), ("encoder", None, False)],
)
def test_features_drawn_at_random_are_not_frozen(
    wish: dict[str, Any], family: Any, begun_as: str | None, refused: bool
) -> None:
    found = list(unread_options(request(family=family, hyperparameters=wish), begun_as))
    assert [error.pointer for error in found] == [f"/hyperparameters/{name}" for name in wish if refused]


@pytest.mark.parametrize(
    ("family", "place", "rule"),
    [
        ("textcn", "/family", "not-allowed"),
        (5, "/family", "invalid-type"),
        ({"type": "textcn"}, "/family/type", "not-allowed"),
        ({"dropout": 0.1}, "/family/type", "missing-field"),
        ({"type": "textcnn", "dropout": 1}, "/family/dropout", "out-of-range"),
        ({"type": "textcnn", "num_filter": 3}, "/family/num_filter", "unknown-field"),
        ({"type": "hierarchical", "max_chunks": 0}, "/family/max_chunks", "out-of-range"),
        ({"type": "hierarchical", "chunk_length": 4}, "/family/chunk_length", "out-of-range"),
        ({"type": "hierarchical", "max_chunk": 4}, "/family/max_chunk", "unknown-field"),
        ({"type": "textcnn", "filter_sizes": [3, 3]}, "/family/filter_sizes", "cross-field"),
        ({"type": "encoder", "num_filters": 3}, "/family/num_filters", "unknown-field"),
    ],
)
def test_a_wrong_family_is_told_where_and_what(family: Any, place: str, rule: str) -> None:
    [error] = refusal(family).errors
    assert (error.pointer, error.rule) == (place, rule)


def test_options_are_explained_by_the_family_they_belong_to() -> None:
    assert "below 1" in refusal({"type": "textcnn", "dropout": 1}).detail
    assert refusal({"type": "textcnn", "num_filter": 3}).remedy == "Did you mean num_filters?"
    assert refusal({"type": "encoder", "num_filters": 3}).errors[0].allowed == ["type"]
    assert '"textcnn"' in refusal({"type": "textcn"}).detail


def test_the_family_that_reads_chunks_is_named_where_it_is_missing() -> None:
    [error] = unfit_options(request(hyperparameters={"long_text": "hierarchical"}))
    assert error.remedy == "Set family to hierarchical, or long_text to truncate or head_tail."
