"""What the name of a base model means, and that it is pinned."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import AppError
from app.preflight.base_models import BaseModels, _suits
from app.schemas.distillation import DistillationOptions
from app.schemas.families import EncoderOptions, FamilyOptions, HierarchicalOptions, TextCNNOptions
from app.schemas.jobs import BaseModelRef
from app.settings import Settings
from app.store import models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def pin(sqlite_store, make_settings: Callable[..., Settings]) -> Callable[..., BaseModelRef]:
    def run(name: str, family: FamilyOptions = EncoderOptions(), **changes) -> BaseModelRef:
        return BaseModels(make_settings(**changes), sqlite_store.database).pin(name, family)

    return run


def refusal(pin: Callable[..., BaseModelRef], name: str, **changes) -> AppError:
    with pytest.raises(AppError) as caught:
        pin(name, **changes)
    return caught.value


def cache(settings: Settings, repository: str, commit: str = COMMIT) -> None:
    folder = settings.hub_cache_dir / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)


def test_a_hub_model_is_pinned_to_its_commit(pin) -> None:
    assert pin("distilbert-base-uncased") == BaseModelRef(id="distilbert-base-uncased", source="hub", revision=COMMIT)


def test_a_renamed_model_is_followed(pin, hub) -> None:
    hub.answers["/api/models/old-name"] = (307, "/api/models/distilbert-base-uncased")
    assert pin("old-name").revision == COMMIT


def test_the_packaged_model_and_folders_need_no_network(pin, hub) -> None:
    assert pin("minilm-l6") == BaseModelRef(id="minilm-l6", source="package")
    assert pin("house-bert", base_models={"house-bert": Path("/models/house")}).source == "folder"
    assert hub.asked == []


@pytest.mark.parametrize("name", ["distilbert-base-uncase", "no/such-model"])
def test_an_unknown_model_is_refused_with_the_nearest(pin, name: str) -> None:
    problem = refusal(pin, name)
    assert (problem.status, problem.code) == (422, "unknown-base-model")
    if name.startswith("distil"):
        assert problem.remedy == "Did you mean distilbert-base-uncased?"


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_is_unknown(pin, hub, status: int) -> None:
    hub.answers["/api/models/org/gated"] = (status, {})
    assert refusal(pin, "org/gated").code == "unknown-base-model"


def test_a_model_without_safetensors_is_refused_at_once(pin) -> None:
    assert refusal(pin, "org/old").code == "no-safetensors"


def test_a_model_without_a_fast_tokenizer_is_refused_at_once(pin, hub) -> None:
    hub.add("org/slow", files=["config.json", "model.safetensors", "vocab.txt"])
    assert refusal(pin, "org/slow").code == "incomplete-base-model"


def test_no_network_is_touched_for_a_name_that_is_not_allowed(pin, hub) -> None:
    problem = refusal(pin, "distilbert-base-uncased", allowed_base_models=["house/*"])
    assert problem.code == "unknown-base-model"
    assert refusal(pin, "дом/модель").code == "unknown-base-model"
    assert hub.asked == []


def test_allowed_patterns(pin, hub) -> None:
    hub.add("house/bert")
    assert pin("house/bert", allowed_base_models=["house/*"]).revision == COMMIT


@pytest.mark.parametrize("answer", [(500, {}), (429, {}), (200, {"sha": "main"}), (200, ["x"])])
def test_a_hub_that_makes_no_sense_is_unreachable(pin, hub, answer) -> None:
    hub.answers["/api/models/distilbert-base-uncased"] = answer
    problem = refusal(pin, "distilbert-base-uncased")
    assert (problem.status, problem.code, problem.retryable) == (503, "hub-unreachable", True)
    assert all(word in problem.remedy for word in ("minilm-l6", "TUNESMITH_BASE_MODELS", "TUNESMITH_HUB_ENDPOINT"))


def test_a_slow_hub_is_given_up_in_time(pin, hub) -> None:
    hub.delay = 3.0
    started = time.monotonic()
    assert refusal(pin, "distilbert-base-uncased", hub_timeout_seconds=0.3).code == "hub-unreachable"
    assert time.monotonic() - started < 2


def test_without_the_hub_a_cached_copy_is_used(pin, make_settings) -> None:
    cache(make_settings(), "org/model")
    assert pin("org/model", hub_endpoint="http://127.0.0.1:9").revision == COMMIT
    assert pin("org/model", hub_enabled=False).revision == COMMIT


def test_without_the_hub_other_names_are_refused(pin, hub) -> None:
    assert refusal(pin, "distilbert-base-uncased", hub_enabled=False).code == "unknown-base-model"
    assert hub.asked == []


@pytest.mark.parametrize("commit", ["main", "../../../etc", "0" * 40])
def test_a_cache_that_makes_no_sense_is_no_cache(pin, make_settings, commit: str) -> None:
    folder = make_settings().hub_cache_dir / "models--org--model" / "refs"
    folder.mkdir(parents=True)
    (folder / "main").write_text(commit)
    assert refusal(pin, "org/model", hub_endpoint="http://127.0.0.1:9").code == "hub-unreachable"


def test_an_own_version_is_pinned_to_its_number(pin, sqlite_store) -> None:
    for _ in range(2):
        sqlite_store.publish(sqlite_store.running())
    sqlite_store.do(models.set_alias, "mood", "old", 1)
    assert pin("model:mood") == BaseModelRef(id="model:mood", source="version", revision="2")
    assert pin("model:mood@old").revision == "1"
    assert pin("model:mood:1").revision == "1"


@pytest.mark.parametrize("name", ["model:moody", "model:mood:9", "model:mood@nobody"])
def test_an_unknown_own_version_is_refused_with_the_nearest(pin, sqlite_store, name: str) -> None:
    sqlite_store.publish(sqlite_store.running())
    problem = refusal(pin, name)
    assert problem.code == "unknown-base-model"
    assert "model:mood" in problem.remedy


def test_a_version_starts_only_what_it_can(pin, sqlite_store) -> None:
    """A transformer's weights are nothing to a convolution, and the other way round; a tokenizer is."""
    sqlite_store.publish(sqlite_store.running())
    with sqlite_store.database.transaction() as session:
        version = models.get_version(session, "mood", 1)
        version.manifest = version.manifest | {"family": "textcnn"}
    assert refusal(pin, "model:mood").code == "unfit-base-model"
    assert pin("model:mood", TextCNNOptions()).revision == "1"
    with sqlite_store.database.transaction() as session:
        version = models.get_version(session, "mood", 1)
        version.manifest = version.manifest | {"family": "encoder"}
    assert refusal(pin, "model:mood", family=TextCNNOptions()).code == "unfit-base-model"
    assert pin("model:mood", TextCNNOptions(tokenizer="base_model")).revision == "1"


@pytest.fixture
def pin_teacher(sqlite_store, make_settings: Callable[..., Settings]) -> Callable[..., DistillationOptions]:
    def run(teacher: str, **options) -> DistillationOptions:
        wish = DistillationOptions(teacher=teacher, **options)
        return BaseModels(make_settings(), sqlite_store.database).pin_teacher(wish)

    return run


def test_a_teacher_is_pinned_as_a_base_model_is(pin_teacher) -> None:
    assert pin_teacher("distilbert-base-uncased").revision == COMMIT
    assert pin_teacher("distilbert-base-uncased", revision="f" * 40).revision == "f" * 40
    assert pin_teacher("minilm-l6").revision is None


def test_a_teacher_of_ours_is_pinned_to_its_version(pin_teacher, sqlite_store) -> None:
    for _ in range(2):
        sqlite_store.publish(sqlite_store.running())
    sqlite_store.do(models.set_alias, "mood", "old", 1)
    assert pin_teacher("model:mood").revision == "2"
    pinned = pin_teacher("model:mood@old")
    assert (pinned.teacher, pinned.revision) == ("model:mood@old", "1")
    assert pin_teacher("model:mood@old", revision="2").revision == "2"


def test_an_unknown_teacher_is_refused_at_its_own_place(pin_teacher) -> None:
    with pytest.raises(AppError) as caught:
        pin_teacher("model:nobody")
    assert caught.value.code == "unknown-base-model"
    assert [error.pointer for error in caught.value.errors] == ["/hyperparameters/distillation/teacher"]


@pytest.mark.parametrize(
    ("trained", "family", "suits"),
    [
        ("encoder", HierarchicalOptions(), True),
        ("hierarchical", HierarchicalOptions(max_chunks=3), True),
        ("hierarchical", EncoderOptions(), False),
        ("hierarchical", TextCNNOptions(tokenizer="base_model"), False),
        ("textcnn", HierarchicalOptions(), False),
        ("encoder", TextCNNOptions(tokenizer="base_model"), True),
        ("encoder", TextCNNOptions(), False),
        ("textcnn", TextCNNOptions(), True),
    ],
)
def test_a_version_can_be_the_start_of_what_its_weights_fit(trained: str, family: FamilyOptions, suits: bool) -> None:
    assert _suits(trained, family) is suits
