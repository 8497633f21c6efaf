"""Batch predictions in a real worker: every row once, in order, whatever happens on the way."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.artifacts.bundle import sha256_of
from app.errors import Unprocessable
from app.schemas.batches import BatchOptions
from app.schemas.predictions import Prediction
from app.settings import Settings
from app.store import batches, models, tables
from tests.app.api.conftest import publish_version
from tests.processes import until
from worker import batch_child

WORDS = ["good", "bad bad", "grün ☃ good", "=bad", "good good good"]


class Bulk:
    """A world with a version and texts for it."""

    def __init__(self, world: Any, folder: Path) -> None:
        self.world = world
        self.folder = folder
        publish_version(world.database, world.artifacts, world.submit(), "toy", folder / "bundle")

    def submit(self, rows: int, **options: Any) -> str:
        """Queue a batch."""
        batch_id = batches.new_batch_id()
        file = self.folder / f"{batch_id}.jsonl"
        file.write_text("".join(f"{json.dumps({'text': self.text(number)})}\n" for number in range(rows)))
        key = f"batches/{batch_id}/rows.jsonl"
        self.world.artifacts.put(key, file)
        texts = batches.Texts(key, sha256_of(file), rows)
        wanted = BatchOptions(model="toy", **options)

        def submit(session: Any) -> None:
            version = models.resolve(session, "toy")
            assert version is not None
            batches.submit(session, batch_id, wanted, version, texts)

        self.world.database.run(submit)
        return batch_id

    def text(self, number: int) -> str:
        """Give the text of a row."""
        return f"{WORDS[number % len(WORDS)]} {number}"

    def row(self, batch_id: str) -> tables.BatchPrediction:
        """Read a batch."""
        with self.world.database.transaction(read_only=True) as session:
            row = batches.get(session, batch_id)
            assert row is not None
            return row

    def wait(self, batch_id: str, right: Any, seconds: float = 60.0) -> tables.BatchPrediction:
        """Wait until a batch is as it should be."""
        deadline = time.monotonic() + seconds
        while not right(row := self.row(batch_id)):
            assert time.monotonic() < deadline, (row.status, row.status_reason, row.error)
            time.sleep(0.02)
        return row

    def ended(self, batch_id: str) -> tables.BatchPrediction:
        """Wait for the end of a batch."""
        return self.wait(batch_id, lambda row: row.status in ("succeeded", "failed", "cancelled"))

    def answers(self, batch_id: str) -> list[dict[str, Any]]:
        """Read what is stored and counts."""
        with self.world.database.transaction(read_only=True) as session:
            chunks = batches.chunks(session, batch_id)
        content = b"".join(block for chunk in chunks for block in self.world.artifacts.read(chunk.artifact_key))
        return [json.loads(line) for line in content.splitlines()]

    def events(self, batch_id: str) -> list[tables.BatchEvent]:
        """Read the history of a batch."""
        with self.world.database.transaction(read_only=True) as session:
            return batches.events_after(session, batch_id, 0, 10_000)


@pytest.fixture
def bulk(world: Any, tmp_path: Path) -> Bulk:
    """A version that tells good from bad."""
    return Bulk(world, tmp_path)


def check(answers: list[dict[str, Any]], bulk: Bulk, rows: int) -> None:
    """Every row once, in order, with the answer that its own text has."""
    assert [answer["row"] for answer in answers] == list(range(rows))
    for number, answer in enumerate(answers):
        assert answer["text"] == bulk.text(number)
        assert answer["label"] == ("b" if "bad" in answer["text"] else "a")


def test_every_row_is_answered_once_and_in_order(bulk: Bulk) -> None:
    batch_id = bulk.submit(700, return_all_scores=True)
    bulk.world.supervisor(batch_chunk_rows=300, batch_threads=2)
    row = bulk.ended(batch_id)
    assert (row.status, row.error, row.rows_done, row.attempt) == ("succeeded", None, 700, 1)
    answers = bulk.answers(batch_id)
    check(answers, bulk, 700)
    assert set(answers[0]["scores"]) == {"a", "b"}
    told = bulk.events(batch_id)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert [event.data["rows_done"] for event in told if event.type == "chunk"] == [300, 600, 700]
    assert [event.data["to"] for event in told if event.type == "status"] == ["queued", "running", "succeeded"]
    assert all(event.data["rows_per_second"] > 0 for event in told if event.type == "chunk")


def test_a_killed_worker_is_resumed_behind_the_last_whole_chunk(bulk: Bulk, tmp_path: Path) -> None:
    """A whole worker process is killed; what it may have put without its counting is not in the result."""
    batch_id = bulk.submit(2_000)
    worker = subprocess.Popen(
        [sys.executable, "-m", "worker"],
        env=environment(bulk.world.settings),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        bulk.wait(batch_id, lambda row: row.rows_done >= 100)
    finally:
        worker.kill()
        worker.wait()
    row = bulk.row(batch_id)
    assert (row.status, row.attempt) == ("running", 1)
    stray = tmp_path / "stray"
    stray.write_text("half a chunk")
    bulk.world.artifacts.put(f"batches/{batch_id}/1/999999.jsonl", stray)

    bulk.world.supervisor(batch_chunk_rows=1_000)
    row = bulk.ended(batch_id)
    assert (row.status, row.attempt, row.rows_done) == ("succeeded", 2, 2_000)
    check(bulk.answers(batch_id), bulk, 2_000)
    with bulk.world.database.transaction(read_only=True) as session:
        kept = {chunk.artifact_key for chunk in batches.chunks(session, batch_id)}
    assert {key.split("/")[2] for key in kept} == {"1", "2"}
    # What does not count is removed once the end is written down.
    until(lambda: set(bulk.world.stored(f"batches/{batch_id}")) == kept | {f"batches/{batch_id}/rows.jsonl"})
    reasons = [event.data["reason"] for event in bulk.events(batch_id) if event.type == "status"]
    assert any("fell silent" in reason for reason in reasons)


def environment(settings: Settings) -> dict[str, str]:
    """Give the variables of a worker that takes small chunks and whose lease soon runs out."""
    return os.environ | {
        "TUNESMITH_DATA_DIR": str(settings.data_dir),
        "TUNESMITH_DATABASE_URL": settings.database_url,
        "TUNESMITH_BROKER_URL": "redis://127.0.0.1:9/0",
        "TUNESMITH_LEASE_SECONDS": "1.5",
        "TUNESMITH_HEARTBEAT_SECONDS": "0.2",
        "TUNESMITH_POLL_SECONDS": "0.1",
        "TUNESMITH_WARM_SPARE": "false",
        "TUNESMITH_TRACKERS": "[]",
        "TUNESMITH_BATCH_CHUNK_ROWS": "50",
        "TUNESMITH_BATCH_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }


def test_a_draining_worker_gives_back_and_another_goes_on(bulk: Bulk) -> None:
    batch_id = bulk.submit(3_000)
    first = bulk.world.supervisor(batch_chunk_rows=100, batch_threads=1)
    bulk.wait(batch_id, lambda row: row.rows_done >= 100)
    first.drain()
    row = bulk.row(batch_id)
    assert (row.status, row.lease_until, row.lost_count) == ("queued", None, 0)
    assert 100 <= row.rows_done < 3_000
    bulk.world.supervisor(batch_chunk_rows=1_500)
    row = bulk.ended(batch_id)
    assert (row.status, row.attempt) == ("succeeded", 2)
    check(bulk.answers(batch_id), bulk, 3_000)


def test_a_cancelled_batch_stops_within_seconds(bulk: Bulk) -> None:
    batch_id = bulk.submit(20_000)
    bulk.world.supervisor(batch_chunk_rows=50, batch_threads=1)
    bulk.wait(batch_id, lambda row: row.rows_done >= 50)
    assert bulk.world.database.run(lambda session: batches.cancel(session, batch_id)) == "cancelling"
    assert bulk.ended(batch_id).status == "cancelled"
    assert bulk.row(batch_id).rows_done < 20_000
    assert [event.type for event in bulk.events(batch_id)][-1] == "status"


def test_what_cannot_be_done_fails_with_a_reason(bulk: Bulk) -> None:
    damaged, gone = bulk.submit(10), bulk.submit(10)
    place = bulk.world.artifacts.root / f"batches/{damaged}/rows.jsonl"
    place.write_text(place.read_text().replace("good", "evil"))
    (bulk.world.artifacts.root / f"batches/{gone}/rows.jsonl").unlink()
    bulk.world.supervisor()
    for batch_id, words in ((damaged, "not those that were sent"), (gone, "are missing")):
        row = bulk.ended(batch_id)
        assert (row.status, row.error["code"]) == ("failed", "damaged-dataset")
        assert words in row.status_reason and row.error["remedy"]


def test_a_worker_that_takes_no_batches_leaves_them(bulk: Bulk) -> None:
    batch_id = bulk.submit(10)
    bulk.world.supervisor(batch_predictions=False)
    time.sleep(0.5)
    assert bulk.row(batch_id).status == "queued"


def test_a_row_that_is_refused_does_not_cost_the_others() -> None:
    """A version that cuts nothing refuses a call with one long text in it; the others are asked again alone."""

    class Strict:
        def predict(self, texts: list[str], **_: Any) -> list[Prediction]:
            if any(len(text) > 5 for text in texts):
                raise Unprocessable("too long", "too-many-tokens")
            return [Prediction(label="a", score=1.0, tokens=1, truncated=False) for _ in texts]

    class Order:
        top_k, return_all_scores = None, False

    with ThreadPoolExecutor(2) as pool:
        rows = [{"text": text} for text in ("a", "too long", "b")]
        answers = batch_child.Asker(Strict(), Order(), None).all(rows, pool)  # type: ignore[arg-type]
    assert [answer.get("label") for answer in answers] == ["a", None, "a"]
    assert answers[1]["error"]["code"] == "too-many-tokens"
