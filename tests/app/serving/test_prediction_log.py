"""The log of answers: a sample of them, within bounds, written when the database is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from app.errors import Unavailable
from app.schemas.predictions import Prediction
from app.schemas.traffic import Log, Traffic
from app.serving import prediction_log
from app.serving.prediction_log import PredictionLog
from app.serving.registry import Meaning
from app.store import predictions
from app.store.engine import Database
from app.store.tables import LoggedPrediction
from tests.app.serving.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    shelf.publish("mood")
    yield shelf
    shelf.close()


@pytest.fixture
def nowhere() -> Iterator[Database]:
    """A database that is away."""
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    yield database
    database.close()


def note(log: PredictionLog, texts: list[str], **wish: object) -> list[Prediction]:
    answers = [Prediction(label="positive", score=0.8, tokens=4, truncated=False) for _ in texts]
    traffic = Traffic(log=Log.model_validate({"percent": 100} | wish))
    log.note(Meaning("mood", 1, "mood", "champion", traffic), 1, texts, answers)
    return answers


def stored(shelf: Shelf, answer: Prediction) -> LoggedPrediction | None:
    with shelf.database.transaction(read_only=True) as session:
        return predictions.get(session, answer.id or "")


def dropped() -> float:
    names = {"model": "mood", "alias": "champion", "outcome": "dropped"}
    return REGISTRY.get_sample_value("tunesmith_predictions_logged_total", names) or 0.0


def test_a_text_is_kept_only_if_asked_and_redacted_unless_asked(shelf: Shelf) -> None:
    log = PredictionLog()
    wishes = ({}, {"keep_text": True, "retention_days": 2}, {"keep_text": True, "redact": False})
    answers = [note(log, ["write to me@home.example"], **wish)[0] for wish in wishes]
    log.flush(shelf.database)
    rows = [stored(shelf, answer) for answer in answers]
    assert [row and row.text for row in rows] == [None, "write to [EMAIL]", "write to me@home.example"]
    assert rows[1] is not None and (rows[1].expires_at - rows[1].at).days == 2
    assert (rows[1].label, rows[1].score, rows[1].tokens) == ("positive", 0.8, 4)


def test_only_a_sample_gets_an_id() -> None:
    answers = note(PredictionLog(), ["good"] * 4000, percent=25)
    logged = sum(answer.id is not None for answer in answers)
    assert 870 < logged < 1130


def test_answers_wait_for_the_database_within_bounds(
    shelf: Shelf, nowhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "MOST_ROWS", 3)
    monkeypatch.setattr(prediction_log, "WRITTEN_AT_ONCE", 2)
    log, before = PredictionLog(), dropped()
    answers = note(log, ["good"] * 5)
    assert [answer.id is not None for answer in answers] == [True, True, True, False, False]
    assert dropped() - before == 2
    with pytest.raises(Unavailable):
        log.flush(nowhere)
    for _ in range(2):
        log.flush(shelf.database)
    assert all(stored(shelf, answer) for answer in answers[:3])
    assert note(log, ["good"])[0].id is not None, "there is room again"


def test_long_texts_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "MOST_CHARS", 100)
    answers = note(PredictionLog(), ["x" * 60, "x" * 60, "x" * 40], keep_text=True)
    assert [answer.id is not None for answer in answers] == [True, False, True]
