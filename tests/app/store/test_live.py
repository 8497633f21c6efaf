"""What versions answer by the hour, on both databases: several processes add up, and the old is forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.schemas.predictions import Prediction
from app.schemas.traffic import DriftWatch, Traffic
from app.serving.live_tallies import LiveTallies
from app.serving.registry import Meaning
from app.store import live, predictions, retention
from tests.app.store.test_predictions import judge, row

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def mood(store: Any) -> Any:
    """A store whose model ``mood`` has two versions."""
    for _ in range(2):
        store.publish(store.running())
    return store


def counted(store: Any, version: int = 1) -> dict[tuple[str, str], int]:
    rows = store.do(live.between, "mood", version, HOUR - timedelta(days=1), HOUR + timedelta(days=1))
    found: dict[tuple[str, str], int] = {}
    for item in rows:
        found[item.kind, item.bin] = found.get((item.kind, item.bin), 0) + item.texts
    return found


def test_processes_add_up(mood: Any) -> None:
    meaning = Meaning("mood", 1, "mood", "champion", Traffic(drift=DriftWatch()))
    answers = [
        Prediction(label="a", score=0.95, tokens=5, truncated=False),
        Prediction(label="b", score=0.55, tokens=40, truncated=False),
    ]
    sets = [answers[0].model_copy(update={"labels": labels}) for labels in (["a", "b"], [])]
    processes = [LiveTallies(), LiveTallies()]
    for tallies in processes:
        tallies.note(meaning, 1, answers)
        tallies.note(meaning, 2, sets)
    for tallies in (*processes, *processes):
        tallies.flush(mood.database)
    assert counted(mood) == {
        ("texts", ""): 4,
        ("labels", "a"): 2,
        ("labels", "b"): 2,
        ("confidence", "9"): 2,
        ("confidence", "5"): 2,
        ("tokens", "0"): 2,
        ("tokens", "3"): 2,
    }
    labels = {bin: texts for (kind, bin), texts in counted(mood, 2).items() if kind == "labels"}
    assert labels == {"a": 2, "b": 2, "": 2}
    mood.do(retention.delete_version, "mood", 1)
    assert counted(mood) == {}


def test_old_hours_are_forgotten(mood: Any) -> None:
    old = HOUR - timedelta(days=500)
    mood.do(live.add, [live.Tally("mood", 1, hour, "texts", "", 1) for hour in (old, HOUR)])
    mood.do(live.purge)
    assert [item.hour for item in mood.do(live.between, "mood", 1, old, HOUR + timedelta(hours=1))] == [HOUR]


def test_feedback_is_counted_once_for_each_answer(mood: Any) -> None:
    assert mood.do(live.judged, "mood", 1) is None
    rows = [row(at=HOUR + timedelta(seconds=index)) for index in range(4)]
    mood.do(predictions.insert, rows)
    for item, truth in zip(rows, ("a", "a", "b"), strict=False):
        judge(mood, item["id"], [truth])
    judge(mood, rows[0]["id"], ["b"]), judge(mood, rows[0]["id"], ["a"])
    found = mood.do(live.judged, "mood", 1)
    assert (found.feedback, found.right) == (3, 2)
    assert (found.since, found.until) == (rows[0]["at"], rows[2]["at"])
