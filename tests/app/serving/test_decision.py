"""Scores to labels: probabilities that add up, whatever the logits."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.artifacts.bundle import Manifest
from app.schemas.decisions import Decision
from app.schemas.jobs import DatasetRef
from app.schemas.models import Task
from app.schemas.predictions import Prediction
from app.serving.decision import FEW_SCORES, decision_of, probabilities
from app.text.tokenizer import Encoded

LABELS = ["a", "b", "c"]
OLD = json.dumps(
    {
        "model": "mood",
        "job_id": "job_1",
        "attempt": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "family": "encoder",
        "labels": LABELS,
        "text": {},
        "tokenizer": {"max_length": 16, "pad_token_id": 0},
        "base_model": {"id": "minilm-l6", "source": "package"},
        "dataset": {"id": "ds_1", "sha256": "0", "counts": {}},
        "hyperparameters": {},
        "resolutions": [],
        "validation": None,
        "test": None,
        "exports": [],
        "libraries": {},
        "files": {},
    }
)
"""The manifest of a bundle that was made before versions were calibrated."""
LOGITS = st.lists(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=3, max_size=3), min_size=1, max_size=5)


def decide(
    logits: Any, count: int, top_k: int | None = None, return_all_scores: bool = False, /, **rule: Any
) -> list[Prediction]:
    manifest = Manifest.model_construct(labels=LABELS, problem_type="single_label", decision=Decision(**rule))
    return decision_of(manifest)(np.asarray(logits, np.float32), encoded(count), top_k, return_all_scores)


def encoded(count: int) -> Encoded:
    return Encoded(ids=[], tokens=list(range(count)), truncated=[index % 2 == 1 for index in range(count)])


@given(LOGITS)
def test_probabilities_add_up_and_keep_the_order(rows: list[list[float]]) -> None:
    logits = np.array(rows, np.float32)
    scores = probabilities(logits)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-12)
    best = logits.max(axis=1)
    assert [row[logits[i] == best[i]].min() for i, row in enumerate(scores)] == scores.max(axis=1).tolist()


def test_probabilities_are_those_of_the_formula() -> None:
    expected = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    np.testing.assert_allclose(probabilities(np.array([[1, 2, 3]], np.float32))[0], expected, rtol=1e-12)


def test_each_text_has_its_own_answer() -> None:
    answers = decide([[3, 1, 2], [0, 0, 5]], 2)
    assert [(a.label, a.scores, a.tokens, a.truncated) for a in answers] == [
        ("a", None, 0, False),
        ("c", None, 1, True),
    ]
    assert answers[0].score == pytest.approx(np.exp(3) / np.exp([3, 1, 2]).sum())


@pytest.mark.parametrize(
    ("top_k", "everything", "names"),
    [
        (1, False, ["a"]),
        (2, False, ["a", "c"]),
        (9, False, ["a", "c", "b"]),
        (None, True, ["a", "c", "b"]),
        (1, True, ["a", "c", "b"]),
    ],
)
def test_scores_come_most_probable_first(top_k: int | None, everything: bool, names: list[str]) -> None:
    (answer,) = decide([[3, 1, 2]], 1, top_k, everything)
    assert answer.scores is not None
    assert list(answer.scores) == names
    assert answer.scores["a"] == answer.score
    assert list(answer.scores.values()) == sorted(answer.scores.values(), reverse=True)


@given(LOGITS)
def test_a_text_is_answered_alike_alone_and_among_many(rows: list[list[float]]) -> None:
    many = rows * (FEW_SCORES // len(rows[0]) + 1)
    among_many = decide(many, len(many))[: len(rows)]
    for row, other in zip(rows, among_many, strict=True):
        (alone,) = decide([row], 1)
        assert alone.label == other.label
        assert alone.score == pytest.approx(other.score, rel=1e-12)


def test_of_equal_scores_the_first_label_wins() -> None:
    (answer,) = decide([[0, 0, 0]], 1, None, True)
    assert answer.label == "a"
    assert list(answer.scores or {}) == LABELS


def test_a_temperature_changes_how_sure_and_never_which_label() -> None:
    [plain], [cooled] = decide([[3, 1, 2]], 1), decide([[3, 1, 2]], 1, temperature=2.0)
    assert plain.label == cooled.label == "a"
    expected = np.exp([1.5, 0.5, 1.0]) / np.exp([1.5, 0.5, 1.0]).sum()
    assert cooled.score == pytest.approx(expected[0])
    assert cooled.score < plain.score


def test_below_its_bound_an_answer_is_marked_and_still_shown() -> None:
    unsure, sure = decide([[0.1, 0, 0], [9, 0, 0]], 2, abstain_below=0.6)
    assert (unsure.label, unsure.abstained, sure.label, sure.abstained) == ("a", True, "a", False)
    assert [answer.abstained for answer in decide([[0, 0, 0]], 1)] == [None]
    [exactly] = decide([[0, 0, -np.inf]], 1, abstain_below=0.5)
    assert exactly.abstained is False


def test_the_bound_is_held_against_the_calibrated_probability() -> None:
    [plain], [cooled] = (decide([[2, 0, 0]], 1, abstain_below=0.7, temperature=t) for t in (1.0, 4.0))
    assert (plain.abstained, cooled.abstained) == (False, True)


@pytest.mark.parametrize(("asked", "everything", "shown"), [(None, False, 2), (1, False, 1), (None, True, 3)])
def test_a_version_may_show_scores_unless_a_request_says_how_many(
    asked: int | None, everything: bool, shown: int
) -> None:
    [answer] = decide([[3, 1, 2]], 1, asked, everything, top_k=2)
    assert len(answer.scores or {}) == shown


def test_every_task_has_a_temperature_of_its_own() -> None:
    ref = DatasetRef(id="ds_1", sha256="0" * 64, counts={})
    tasks = [
        Task(name="mood", labels=["a", "b"], offset=0, loss_weight=1, dataset=ref),
        Task(name="topic", labels=["x", "y"], offset=2, loss_weight=1, dataset=ref),
    ]
    rule = Decision(temperature=2.0, task_temperatures={"topic": 0.5}, abstain_below=0.8)
    manifest = Manifest.model_construct(labels=["a", "b"], problem_type="single_label", tasks=tasks, decision=rule)
    decider, logits = decision_of(manifest), np.array([[2, 0, 0, 1]], np.float32)
    [answer] = decider(logits, encoded(1), None, False)
    assert answer.score == pytest.approx(1 / (1 + np.exp(-1)))
    assert answer.tasks is not None
    assert answer.tasks["topic"].score == pytest.approx(1 / (1 + np.exp(-2)))
    assert (answer.abstained, answer.tasks["topic"].abstained) == (True, False)
    np.testing.assert_allclose(decider.probabilities(logits).sum(axis=1), 2)


def test_a_manifest_without_a_word_on_it_decides_as_ever() -> None:
    assert "decision" not in json.loads(OLD)
    decider = decision_of(Manifest.model_validate_json(OLD))
    [answer] = decider(np.array([[1, 0, 0]], np.float32), encoded(1), None, False)
    assert (answer.abstained, answer.scores) == (None, None)
    assert answer.score == pytest.approx(np.e / (np.e + 2))
