"""Where base models come from: each source for real, the hub as a server on a loopback port."""

import json
import sys
import time

import pytest

from app.artifacts.bundle import sha256_of
from app.errors import JobFailure
from app.schemas.jobs import BaseModelRef
from app.store import models
from tests.worker.toy.loopback_hub import COMMIT, Hub
from worker import base_models, download
from worker.base_model_files import Wanted
from worker.base_models import BaseModels
from worker.events import Interrupted
from worker.process import Spawner

TINY = {
    "config.json": json.dumps({"model_type": "bert"}).encode(),
    "model.safetensors": b"weights" * 1000,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling_tiny.py": b"raise SystemExit",
    "README.md": b"about",
    "onnx/model.safetensors": b"other weights",
}


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = Hub(
        repos={
            "acme/tiny": dict(TINY),
            "bare": dict(TINY),
            "acme/pickled": {name: data for name, data in TINY.items() if not name.endswith("safetensors")},
            "acme/own-code": TINY
            | {"config.json": json.dumps({"model_type": "acme", "auto_map": {"AutoModel": "m.M"}}).encode()},
            "acme/known-kind": TINY
            | {"config.json": json.dumps({"model_type": "bert", "auto_map": {"AutoModel": "m.M"}}).encode()},
            "acme/wordless": {name: data for name, data in TINY.items() if not name.startswith("tokenizer")},
        }
    )
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def find(world, hub, tmp_path):
    """Resolve a reference as a worker does."""
    spawner = Spawner()
    count = iter(range(100))

    def find(name, source="hub", revision=None, should_stop=lambda: False, **changes):
        settings = world.settings.model_copy(update={"hub_endpoint": hub.url, **changes})
        folder = tmp_path / f"attempt-{next(count)}"
        folder.mkdir()
        finder = BaseModels(settings, world.database, world.artifacts, spawner)
        return finder.find(BaseModelRef(id=name, source=source, revision=revision), folder, should_stop)

    yield find
    spawner.close()


@pytest.fixture
def fetch(world, hub):
    """Ask the hub as the download process does, in this process, which is quicker."""

    def fetch(name, revision=None, endpoint=None, offline=False):
        return download.find(
            Wanted(
                repo=name,
                revision=revision,
                endpoint=endpoint or hub.url,
                cache_dir=world.settings.hub_cache_dir,
                timeout=2.0,
                offline=offline,
            )
        )

    return fetch


def refusal(find, *arguments, **options):
    with pytest.raises(JobFailure) as caught:
        find(*arguments, **options)
    assert caught.value.remedy
    return caught.value.code


@pytest.mark.parametrize("name", ["acme/known-kind", "bare"])
def test_a_hub_model_arrives_without_pickles_and_code(find, hub, name):
    folder, ref = find(name)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").read_bytes() == TINY["model.safetensors"]
    assert ref == BaseModelRef(id=name, source="hub", revision=COMMIT)
    assert not [path for path in hub.requests if path.endswith((".py", ".bin"))]


def test_a_pinned_revision_in_the_cache_needs_no_network(fetch, hub):
    fetch("acme/tiny", COMMIT)
    hub.requests.clear()
    assert fetch("acme/tiny", COMMIT).revision == COMMIT
    assert hub.requests == []


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_a_cached_model_survives_the_absence_of_the_hub(fetch, hub, revision):
    fetch("acme/tiny", COMMIT)
    hub.status = 503
    assert fetch("acme/tiny", revision).revision == COMMIT
    assert fetch("acme/tiny", revision, offline=True).revision == COMMIT


def test_a_hub_that_is_away_is_told_within_seconds(find):
    began = time.monotonic()
    assert refusal(find, "acme/tiny", hub_endpoint="http://127.0.0.1:9") == "hub-unreachable"
    assert time.monotonic() - began < 10.0


def test_a_hub_that_is_ill_is_no_proof_that_a_model_does_not_exist(fetch, hub):
    for hub.status in (403, 404, 429, 500):
        error = fetch("acme/tiny").error
        assert error["code"] == "hub-unreachable"
        assert str(hub.status) in error["detail"]


@pytest.mark.parametrize(
    ("name", "revision", "code"),
    [
        ("acme/none", None, "unknown-base-model"),
        ("acme/tiny", "f" * 40, "unknown-base-model"),
        ("acme/pickled", None, "no-safetensors"),
        ("acme/own-code", None, "needs-custom-code"),
        ("acme/wordless", None, "incomplete-base-model"),
    ],
)
def test_models_that_cannot_be_used_are_refused_before_their_weights_are_fetched(fetch, hub, name, revision, code):
    error = fetch(name, revision).error
    assert error["code"] == code
    assert error["remedy"]
    assert not [path for path in hub.requests if path.endswith((".safetensors", ".bin", ".py"))]


def test_downloads_can_be_switched_off(find, hub):
    assert refusal(find, "acme/tiny", hub_enabled=False) == "hub-disabled"
    assert hub.requests == []


def test_weights_damaged_on_their_way_are_fetched_again(fetch, hub):
    hub.damage = 1
    folder = fetch("acme/tiny").folder
    assert (folder / "model.safetensors").read_bytes() == TINY["model.safetensors"]
    assert hub.damage == 0


def test_weights_that_always_arrive_damaged_are_never_used(fetch, hub):
    hub.damage = 99
    assert fetch("acme/tiny").error["code"] == "damaged-base-model"
    assert fetch("acme/tiny", offline=True).error["code"] == "hub-disabled"


def test_weights_that_rot_in_the_cache_are_fetched_again(fetch):
    blob = (fetch("acme/tiny", COMMIT).folder / "model.safetensors").resolve()
    blob.chmod(0o600)
    blob.write_bytes(b"rotten")
    folder = fetch("acme/tiny", COMMIT).folder
    assert (folder / "model.safetensors").read_bytes() == TINY["model.safetensors"]


def test_a_download_stops_when_the_job_must(find):
    with pytest.raises(Interrupted):
        find("acme/tiny", should_stop=lambda: True)


def test_a_configured_folder_is_used_as_it_is(find, tiny_model):
    assert find("tiny", "folder") == (tiny_model, BaseModelRef(id="tiny", source="folder"))


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("config.json", "incomplete-base-model"),
        ("model.safetensors", "no-safetensors"),
        ("tokenizer.json", "incomplete-base-model"),
    ],
)
def test_an_incomplete_folder_is_refused(find, tiny_model, missing, code):
    (tiny_model / missing).unlink()
    assert refusal(find, "tiny", "folder") == code


def test_a_config_that_is_no_json_is_refused(find, tiny_model):
    (tiny_model / "config.json").write_text("{")
    assert refusal(find, "tiny", "folder") == "incomplete-base-model"


def test_the_packaged_model_is_found_and_its_weights_are_the_known_ones(find):
    folder, ref = find("minilm-l6", "package")
    assert sha256_of(folder / "model.safetensors") == base_models.PACKAGE_WEIGHTS_SHA256
    assert ref.revision == "0.1.0"
    assert base_models.PACKAGE_MODULE not in sys.modules


def test_other_weights_under_the_packaged_name_are_refused(find, monkeypatch):
    monkeypatch.setattr(base_models, "PACKAGE_WEIGHTS_SHA256", "0" * 64)
    assert refusal(find, "minilm-l6", "package") == "damaged-base-model"


def test_a_worker_without_the_package_says_how_to_get_it(find, monkeypatch):
    monkeypatch.setattr(base_models, "PACKAGE_MODULE", "not_installed_here")
    assert refusal(find, "minilm-l6", "package") == "base-model-not-installed"


@pytest.mark.parametrize("name", ["model:toy", "model:toy:1", "model:toy@champion"])
def test_an_own_version_becomes_a_base_model(world, find, name):
    world.supervisor()
    world.wait(world.submit(), "succeeded")
    world.database.run(lambda session: models.set_alias(session, "toy", "champion", 1))
    folder, _ = find(name, "version")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_an_own_version_that_does_not_exist_is_refused(find):
    assert refusal(find, "model:toy:7", "version") == "unknown-base-model"


def test_a_job_whose_hub_is_away_fails_once_and_says_why(world, hub):
    job_id = world.submit(base_model=BaseModelRef(id="acme/tiny", source="hub"))
    world.supervisor(hub_endpoint="http://127.0.0.1:9")
    job = world.wait(job_id, "failed", seconds=15.0)
    assert (job.error["code"], job.attempt, job.crash_count) == ("hub-unreachable", 1, 0)
    assert "minilm-l6" in job.error["remedy"]


def test_a_job_with_a_hub_model_records_the_commit_it_used(world, hub):
    job_id = world.submit(base_model=BaseModelRef(id="acme/tiny", source="hub"))
    world.supervisor(hub_endpoint=hub.url)
    job = world.wait(job_id, "succeeded")
    assert job.base_model == {"id": "acme/tiny", "source": "hub", "revision": COMMIT}
