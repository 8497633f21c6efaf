"""Jobs that cannot work with their dataset are refused before a worker sees them."""

from collections.abc import Callable
from typing import Any

import pytest

from app.artifacts.file import FileStore
from app.errors import AppError
from app.preflight.base_models import BaseModels
from app.preflight.jobs import JobPreflight, Prepared, fingerprint
from app.preflight.shapes import Shapes
from app.preflight.stored_configs import StoredConfigs
from app.schemas.jobs import TrainJobRequest
from app.settings import Settings
from app.store import datasets, models

PROFILE: dict[str, Any] = {
    "labels": ["ham", "spam"],
    "splits": {
        "train": {"total": 320, "by_label": {"ham": 300, "spam": 20}},
        "validation": {"total": 40, "by_label": {"ham": 37, "spam": 3}},
        "test": {"total": 40, "by_label": {"ham": 37, "spam": 3}},
    },
    "text_lengths": {"p50": 50, "p90": 90, "p99": 120, "max": 130},
    "duplicates": 3,
    "majority_baseline": 0.92,
    "warnings": [
        {"code": "imbalanced", "detail": "ham has 15 times the training rows of spam.", "remedy": None},
        {"code": "long-texts", "detail": "33% of the texts are longer than 4000 characters.", "remedy": None},
        {"code": "duplicate-texts", "detail": "3 rows repeat the text of an earlier row.", "remedy": None},
    ],
}


@pytest.fixture
def prepare(sqlite_store, new_dataset, make_settings: Callable[..., Settings]) -> Callable[..., Prepared]:
    def add(dataset_id: str, profile: dict[str, Any]) -> None:
        dataset = new_dataset(dataset_id)
        dataset.profile = profile
        sqlite_store.do(datasets.insert, dataset)

    add("ds_2", PROFILE)
    many = {"total": 3200, "by_label": {"ham": 1600, "spam": 1600}}
    add("ds_4", PROFILE | {"splits": PROFILE["splits"] | {"train": many}})
    empty = {"total": 0, "by_label": {"ham": 0, "spam": 0}}
    add("ds_3", PROFILE | {"splits": PROFILE["splits"] | {"validation": empty}})
    settings = make_settings()
    database, stored = sqlite_store.database, FileStore(settings.data_dir)
    shapes = Shapes(settings, StoredConfigs(database, stored))
    preflight = JobPreflight(database, BaseModels(settings, database), shapes)

    def run(
        dataset_id: str = "ds_2", family: Any = "encoder", base_model: str | None = "minilm-l6", **hyperparameters: Any
    ) -> Prepared:
        body = {
            "model": "m",
            "family": family,
            "dataset_id": dataset_id,
            "hyperparameters": hyperparameters,
        } | ({} if base_model is None else {"base_model": base_model})
        return preflight.prepare(TrainJobRequest.model_validate(body))

    run.preflight = preflight  # type: ignore[attr-defined]
    return run


def refusal(prepare: Callable[..., Prepared], *args: Any, **hyperparameters: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        prepare(*args, **hyperparameters)
    return caught.value


def test_a_sound_job_is_prepared(prepare) -> None:
    prepared = prepare(num_train_epochs=2, batch_size=32)
    assert prepared.estimate.total_steps == 20
    assert prepared.base_model.source == "package"
    assert [warning.code for warning in prepared.warnings] == ["imbalanced", "long-texts"]
    whole = prepare(family="hierarchical", num_train_epochs=2)
    assert [warning.code for warning in whole.warnings] == ["imbalanced"]
    assert whole.estimate.batch_size == 4


def test_the_plan_of_many_short_rows_has_the_batches_that_the_worker_takes(prepare) -> None:
    """3,200 rows of about 36 tokens: 32 texts at a time, in the estimate and in what it says of memory."""
    grown = prepare("ds_4", num_train_epochs=2)
    assert (grown.estimate.batch_size, grown.estimate.total_steps) == (32, 200)
    memory = prepare.preflight.memory(grown)
    assert (memory.batch_size, memory.max_length) == (32, 36)
    long = prepare("ds_4", num_train_epochs=2, max_length=300)
    assert (long.estimate.batch_size, prepare.preflight.memory(long).batch_size) == (16, 16)


def test_a_textcnn_is_sized_by_its_options(prepare) -> None:
    options = {"type": "textcnn", "embed_size": 8, "num_filters": 10}
    small = prepare(family=options | {"vocab_size": 1000}, base_model=None)
    memory = prepare.preflight.memory(small)
    assert memory.parameters == 1000 * 8 + 8 * 10 * 12 + 30 + (30 + 1) * 2
    borrowed = prepare(family=options | {"tokenizer": "base_model"})
    assert prepare.preflight.memory(borrowed).parameters - memory.parameters == (30_522 - 1000) * 8


def test_a_chunk_longer_than_the_base_model_reads_is_refused(prepare) -> None:
    problem = refusal(prepare, family={"type": "hierarchical", "chunk_length": 513})
    assert problem.errors[0].pointer == "/family/chunk_length"
    assert prepare(family={"type": "hierarchical", "chunk_length": 512}).request.family.chunk_length == 512


def test_what_a_network_would_not_read_of_its_options_depends_on_what_it_starts_from(prepare, sqlite_store) -> None:
    borrowed = {"type": "textcnn", "tokenizer": "base_model"}
    assert refusal(prepare, family=borrowed, freeze_base=True).errors[0].pointer == "/hyperparameters/freeze_base"
    sizes = borrowed | {"num_filters": 7}
    assert prepare(family=sizes).request.family.num_filters == 7
    sqlite_store.publish(sqlite_store.running())
    with sqlite_store.database.transaction() as session:
        version = models.get_version(session, "mood", 1)
        version.manifest = version.manifest | {"family": "textcnn"}
    assert prepare(base_model="model:mood", family=borrowed, freeze_base=True).base_model.source == "version"
    assert refusal(prepare, base_model="model:mood", family=sizes).errors[0].pointer == "/family/num_filters"


@pytest.mark.parametrize("dataset_id", ["ds_9", "", "../x", "x" * 500])
def test_an_unknown_dataset_is_the_same_refusal_whatever_it_looks_like(prepare, dataset_id: str) -> None:
    assert refusal(prepare, dataset_id).problem() == refusal(prepare, "ds_99").problem()
    assert refusal(prepare, dataset_id).code == "dataset-not-found"


def test_a_dataset_without_validation_rows_cannot_be_trained_on(prepare) -> None:
    assert refusal(prepare, "ds_3").code == "no-validation-split"


@pytest.mark.parametrize(
    ("wishes", "pointer", "remedy"),
    [
        (
            {"curriculum": {"difficulty": "column"}},
            "curriculum/difficulty",
            "Use length or probe_loss, or upload the dataset with a difficulty_column.",
        ),
        ({"metric_for_best_model": "f1:spm"}, "metric_for_best_model", "Did you mean f1:spam?"),
        (
            {"metric_for_best_model": {"f1:spm": 0.5, "f1_macro": 0.5}},
            "metric_for_best_model/f1:spm",
            "Did you mean f1:spam?",
        ),
        (
            {"warmup_steps": 20, "num_train_epochs": 2, "batch_size": 32},
            "warmup_steps",
            "Use at most 19, or train longer.",
        ),
        (
            {"eval_strategy": "steps", "eval_steps": 21, "num_train_epochs": 2, "batch_size": 32},
            "eval_steps",
            "Use at most 20, or train longer.",
        ),
        (
            {"devices": 7, "batch_size": 2, "gradient_accumulation_steps": 3},
            "devices",
            "Use at most 6, or raise batch_size.",
        ),
        ({"class_weights": {"ham": 1.0}}, "class_weights", "Add a weight for spam, or use balanced."),
        ({"class_weights": {"ham": 1.0, "spam": 2.0, "sam": 1.0}}, "class_weights/sam", "Did you mean spam?"),
    ],
)
def test_impossible_hyperparameters(prepare, wishes: dict[str, Any], pointer: str, remedy: str) -> None:
    problem = refusal(prepare, **wishes)
    assert (problem.status, problem.code) == (422, "invalid-hyperparameter")
    assert problem.errors[0].pointer == f"/hyperparameters/{pointer}"
    assert problem.remedy == remedy


def test_all_impossible_hyperparameters_come_at_once(prepare) -> None:
    problem = refusal(prepare, metric_for_best_model="recall:x", class_weights={"y": 1.0}, warmup_steps=100_000)
    assert len(problem.errors) == 4


@pytest.mark.parametrize(
    "wishes",
    [
        {"metric_for_best_model": "recall:spam"},
        {"devices": 6, "batch_size": 2, "gradient_accumulation_steps": 3},
        {"devices": "auto", "batch_size": 1},
        {"class_weights": {"ham": 1.0, "spam": 5.0}},
        {"warmup_steps": 19, "num_train_epochs": 2, "batch_size": 32},
    ],
)
def test_possible_hyperparameters(prepare, wishes: dict[str, Any]) -> None:
    assert prepare(**wishes).request.hyperparameters


def test_the_memory_of_each_device_is_that_of_its_part(prepare) -> None:
    shares = [
        prepare.preflight.memory(prepare(devices=devices, batch_size=33, gradient_accumulation_steps=passes)).batch_size
        for devices, passes in ((1, 1), (4, 1), (4, 3), (4, 4), ("auto", 1))
    ]
    assert shares == [33, 9, 9, 33, 33]


def test_the_fingerprint_ignores_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1, "b": [1, 2]}) != fingerprint({"a": 1, "b": [2, 1]})


def test_texts_longer_than_the_base_model_reads_are_refused(prepare: Callable[..., Prepared]) -> None:
    problem = refusal(prepare, max_length=513)
    assert (problem.code, problem.errors[0].pointer) == ("invalid-hyperparameter", "/hyperparameters/max_length")
    assert problem.remedy == 'Use at most 512, or "auto".'
    assert prepare(max_length=512).request.hyperparameters.max_length == 512


def test_a_teacher_is_pinned_in_the_request_that_is_stored(prepare) -> None:
    wish = {"teacher": "distilbert-base-uncased"}
    pinned = prepare(distillation=wish).request.hyperparameters.distillation
    assert pinned.revision == "0123456789abcdef0123456789abcdef01234567"
    assert (pinned.temperature, pinned.alpha) == (4.0, 0.7)
