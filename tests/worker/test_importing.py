"""Imports in a real worker: rows from a hub on a loopback port become a dataset that jobs can train on."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.ids import is_id
from app.schemas.datasets import DatasetProfile
from app.schemas.sources import ImportRequest
from app.store import datasets, imports
from tests.worker.data.sources.conftest import LoopbackHub, parquet
from tests.worker.data.sources.conftest import loopback as loopback
from worker.importing import dataset_id_of

ROWS = [{"text": f"text {number}", "label": number % 2} for number in range(40)]
CLASSES = {"label": ["negative", "positive"]}


@pytest.fixture
def submit(world):
    """Queue an import."""

    def submit(name: str | None = None, **source: Any) -> str:
        request = ImportRequest.model_validate({"name": name, "from": source})
        return world.database.run(lambda session: imports.submit(session, request)).id

    return submit


@pytest.fixture
def ended(world):
    """Wait for the end of an import."""

    def ended(import_id: str, seconds: float = 60.0):
        deadline = time.monotonic() + seconds
        while True:
            with world.database.transaction(read_only=True) as session:
                row = imports.get(session, import_id)
            if row.status in ("succeeded", "failed"):
                return row
            assert time.monotonic() < deadline, (row.status, row.status_reason)
            time.sleep(0.05)

    return ended


def dataset_of(world, row):
    with world.database.transaction(read_only=True) as session:
        return datasets.get(session, row.dataset_id)


def test_a_dataset_of_the_hub_is_fetched_checked_and_stored(world, loopback: LoopbackHub, submit, ended) -> None:
    loopback.repos["acme/mood"] = {"main": {"data/train-0.parquet": parquet(ROWS, classes=CLASSES)}}
    import_id = submit("mood", source="hub", dataset="acme/mood")
    world.supervisor(hub_endpoint=loopback.url)
    row = ended(import_id)
    assert (row.status, row.error, row.attempt, row.lease_until) == ("succeeded", None, 1, None)

    dataset = dataset_of(world, row)
    assert (dataset.name, dataset.format, dataset.labels) == ("mood", "import", ["negative", "positive"])
    assert dataset.counts == {"train": 32, "validation": 4, "test": 4}
    assert dataset.profile["majority_baseline"] == 0.5
    assert dataset.provenance["revision"] == loopback.commit("acme/mood")
    assert [file["path"] for file in dataset.provenance["files"]] == ["data/train-0.parquet"]
    content = (world.artifacts.root / dataset.artifact_key).read_bytes()
    assert len(content) == dataset.bytes
    first = json.loads(content.splitlines()[0])
    assert (first["text"], first["label"]) == ("text 0", "negative")

    job = world.submit(dataset=dataset)
    assert world.wait(job, "succeeded").status == "succeeded"


def test_sets_of_labels_difficulties_and_slices_of_prepared_rows_are_there_for_jobs(
    world, submit, ended, tmp_path
) -> None:
    rows = [{"text": f"text {n}", "label": "ab"[: n % 3], "hard": n, "source": "web"} for n in range(30)]
    rows = [row | {"label": list(row["label"])} for row in rows]
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "topics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    import_id = submit(source="processed", path="topics.jsonl", difficulty_column="hard", slice_columns=["source"])
    world.supervisor(processed_dir=tmp_path / "prepared")
    row = ended(import_id)
    assert (row.status, row.error) == ("succeeded", None)
    dataset = dataset_of(world, row)
    profile = DatasetProfile.model_validate(dataset.profile)
    assert (profile.problem_type, profile.labels, profile.has_difficulties) == ("multi_label", ["a", "b"], True)
    assert profile.slices == {"source": {"web": 30}}
    content = [json.loads(line) for line in (world.artifacts.root / dataset.artifact_key).read_text().splitlines()]
    assert [(row["labels"], row["difficulty"]) for row in content[:3]] == [([], 0), (["a"], 1), (["a", "b"], 2)]
    assert all(row["slices"] == {"source": "web"} for row in content)


def test_prepared_splits_are_taken_from_the_folder_of_the_operator(world, submit, ended, tmp_path) -> None:
    prepared = tmp_path / "prepared" / "tickets"
    prepared.mkdir(parents=True)
    for split, count in (("train", 10), ("validation", 4)):
        lines = [json.dumps({"text": f"{split} {number}", "label": "ab"[number % 2]}) for number in range(count)]
        (prepared / f"{split}.jsonl").write_text("\n".join(lines))
    import_id = submit(source="processed", path="tickets")
    world.supervisor(processed_dir=tmp_path / "prepared")
    row = ended(import_id)
    assert (row.status, row.error) == ("succeeded", None)
    assert dataset_of(world, row).counts["train"] + dataset_of(world, row).counts["test"] == 10


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"source": "hub", "dataset": "acme/none"}, "unknown-dataset"),
        ({"source": "hub", "dataset": "acme/mood", "text_column": "words"}, "missing-column"),
        ({"source": "hub", "dataset": "acme/poor"}, "too-few-examples"),
        ({"source": "processed", "path": "no/such"}, "processed-disabled"),
    ],
)
def test_a_failure_says_why_and_stores_nothing(world, loopback: LoopbackHub, submit, ended, source, code) -> None:
    poor = [*ROWS, {"text": "alone", "label": 2}]
    loopback.repos["acme/mood"] = {"main": {"train.parquet": parquet(ROWS)}}
    loopback.repos["acme/poor"] = {"main": {"train.parquet": parquet(poor)}}
    import_id = submit(**source)
    world.supervisor(hub_endpoint=loopback.url)
    row = ended(import_id)
    assert (row.status, row.error["code"], row.dataset_id) == ("failed", code, None)
    assert row.error["remedy"] and row.status_reason == row.error["detail"]
    assert [key for key in world.stored("datasets") if world.dataset.id not in key] == []


def test_a_hub_that_does_not_answer_fails_the_import(world, submit, ended) -> None:
    import_id = submit(source="twitter")
    world.supervisor(hub_endpoint="http://127.0.0.1:9")
    assert ended(import_id).error["code"] == "hub-unreachable"


def test_a_worker_that_shuts_down_gives_its_import_back(world, loopback: LoopbackHub, submit) -> None:
    loopback.repos["acme/mood"] = {"main": {"train.parquet": parquet(ROWS)}}
    loopback.answer = lambda request: time.sleep(30)  # type: ignore[method-assign]
    import_id = submit(source="hub", dataset="acme/mood")
    supervisor = world.supervisor(hub_endpoint=loopback.url)
    status = "queued"
    while status != "running":
        time.sleep(0.05)
        with world.database.transaction(read_only=True) as session:
            status = imports.get(session, import_id).status
    supervisor.drain()
    with world.database.transaction(read_only=True) as session:
        row = imports.get(session, import_id)
    assert (row.status, row.lease_until) == ("queued", None)


def test_a_store_that_is_away_is_waited_for_and_leftovers_go(world, loopback: LoopbackHub, submit, ended) -> None:
    loopback.repos["acme/mood"] = {"main": {"train.parquet": parquet(ROWS)}}
    import_id = submit(source="hub", dataset="acme/mood")
    lost = world.database.run(lambda session: imports.claim_next(session, owner="w", lease_seconds=-1.0))
    left = f"datasets/{dataset_id_of(lost.id, lost.attempt)}"
    world.artifacts.put(f"{left}/rows.jsonl", Path(__file__))
    (world.artifacts.root / left / ".rows.jsonl.0.part").write_text("half a copy")
    loopback_answer, root = loopback.answer, world.artifacts.root

    def answer(request) -> None:  # type: ignore[no-untyped-def]
        if root.is_dir():
            root.rename(root.with_name("hidden"))
            root.write_text("a file where a folder should be")
        loopback_answer(request)

    loopback.answer = answer  # type: ignore[method-assign]
    world.supervisor(hub_endpoint=loopback.url)
    deadline = time.monotonic() + 30.0
    while True:
        with world.database.transaction(read_only=True) as session:
            row = imports.get(session, import_id)
        if "waiting until" in row.status_reason:
            break
        assert time.monotonic() < deadline, row.status_reason
        time.sleep(0.02)
    loopback.answer = loopback_answer  # type: ignore[method-assign]
    root.unlink()
    root.with_name("hidden").rename(root)
    row = ended(import_id)
    assert (row.status, row.attempt, row.dataset_id) == ("succeeded", 2, dataset_id_of(import_id, 2))
    assert not (root / left).exists()
    assert world.stored(f"datasets/{row.dataset_id}") == [dataset_of(world, row).artifact_key]


def test_names_of_attempts_are_ids_and_differ() -> None:
    names = {dataset_id_of("imp_" + "0" * 32, attempt) for attempt in range(1, 300)}
    assert len(names) == 299
    assert all(is_id(name, "ds") for name in names)
