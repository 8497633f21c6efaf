"""Scores of a batch against scikit-learn, of one label a row and of sets, whole or gone on with."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, hamming_loss, log_loss

from app.artifacts.bundle import Manifest
from app.schemas.evaluations import Judging
from app.schemas.models import Task
from worker.batch_scores import Tally

LABELS = ["a", "b", "c"]
JUDGING = Judging(dataset_id="ds_1", dataset_sha256="", split="test", task=None)


def manifest(**changes: Any) -> Manifest:
    """Give a manifest with what matters here."""
    return Manifest.model_construct(labels=LABELS, problem_type="single_label", tasks=[]).model_copy(update=changes)


def answered(rows: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Give rows with answers, some right and some wrong."""
    draw, pairs = random.Random(1), []
    for number in range(rows):
        weights = [draw.random() + 0.01 for _ in LABELS]
        scores = {label: weight / sum(weights) for label, weight in zip(LABELS, weights, strict=True)}
        label = max(scores, key=lambda one: scores[one])
        answer = {"label": label, "score": scores[label], "scores": scores, "tokens": 3, "truncated": False}
        pairs.append(({"text": f"t{number}", "label": draw.choice(LABELS)}, answer))
    return pairs


def test_one_label_a_row() -> None:
    pairs, tally = answered(60), Tally(manifest(), JUDGING)
    lines = [tally.judged(row, answer) for row, answer in pairs]
    refused = tally.judged({"text": "long", "label": "a"}, {"error": {"code": "text-too-long"}})
    found = tally.judgement()
    truth, given = [row["label"] for row, _ in pairs], [answer["label"] for _, answer in pairs]
    assert found.scores.examples == 60
    assert found.scores.accuracy == pytest.approx(accuracy_score(truth, given))
    assert found.scores.f1_macro == pytest.approx(f1_score(truth, given, average="macro"))
    assert found.scores.confusion_matrix == confusion_matrix(truth, given, labels=LABELS).tolist()
    assert found.scores.loss == pytest.approx(log_loss(truth, [list(answer["scores"].values()) for _, answer in pairs]))
    assert found.intervals is not None and found.intervals.accuracy.low < found.scores.accuracy
    assert (found.refused, refused["expected"]) == (1, "a")
    assert set(lines[0]) == {"expected", "label", "score", "tokens", "truncated", "loss"}


def test_a_lost_worker_changes_nothing(tmp_path: Path) -> None:
    pairs, whole = answered(30), Tally(manifest(), JUDGING)
    for number, (row, _) in enumerate(pairs):
        row["slices"] = {"source": "web" if number % 3 else "mail"}
    lines = [{"text": row["text"], **whole.judged(row, answer)} for row, answer in pairs]
    refused = {"text": "too long", "expected": "a", "error": {"code": "text-too-long"}}
    (tmp_path / "before").write_text("".join(f"{json.dumps(line)}\n" for line in [*lines[:20], refused]))
    second = Tally.going_on(manifest(), JUDGING, [tmp_path / "before"])
    for row, answer in pairs[20:]:
        second.judged(row, answer)
    assert second.judgement() == whole.judgement().model_copy(update={"refused": 1})
    assert [part.slice for part in whole.judgement().slices][-2:] == ["source=web", "source=mail"]


def test_parts_of_the_rows_are_scored_by_themselves() -> None:
    pairs, tally = answered(90), Tally(manifest(), JUDGING)
    for number, (row, answer) in enumerate(pairs):
        row["text"] = "x" * (number + 1)
        if number < 80:
            row["slices"] = {"source": "web" if number % 4 else "mail"}
        told = tally.judged(row, answer)
        assert told.get("slices") == row.get("slices")
    tally.judged({"text": "long", "label": "a", "slices": {"source": "web"}}, {"error": {"code": "text-too-long"}})
    found = {part.slice: part for part in tally.judgement().slices}
    sizes = {"length=short": 30, "length=medium": 30, "length=long": 30, "source=web": 60, "source=mail": 20}
    assert {name: part.rows for name, part in found.items()} == sizes
    mail = [(row["label"], answer["label"]) for row, answer in pairs if row.get("slices") == {"source": "mail"}]
    truth, given = zip(*mail, strict=True)
    assert found["source=mail"].accuracy == pytest.approx(accuracy_score(truth, given))
    assert found["source=mail"].f1_macro == pytest.approx(f1_score(truth, given, average="macro"))
    assert found["length=short"].detail == "at most 30 characters"


def test_nothing_to_judge_has_no_parts() -> None:
    assert Tally(manifest(), JUDGING).judgement().slices == []


def test_sets_of_labels() -> None:
    draw, tally = random.Random(2), Tally(manifest(problem_type="multi_label"), JUDGING)
    truth, given, losses = [], [], []
    for number in range(50):
        scores = {label: draw.random() for label in LABELS}
        expected = [label for label in LABELS if draw.random() < 0.4]
        labels = [label for label in LABELS if scores[label] >= 0.5]
        answer = {"label": "a", "score": 0.1, "labels": labels, "scores": scores, "tokens": 3, "truncated": False}
        line = tally.judged({"text": f"t{number}", "labels": expected}, answer)
        truth.append([int(label in expected) for label in LABELS])
        given.append([int(label in labels) for label in LABELS])
        losses += [log_loss([int(label in expected)], [scores[label]], labels=[0, 1]) for label in LABELS]
        assert line["expected"] == expected
    found = tally.judgement().scores
    assert found.accuracy == pytest.approx(accuracy_score(truth, given))
    assert found.f1_macro == pytest.approx(f1_score(truth, given, average="macro"))
    assert found.f1_micro == pytest.approx(f1_score(truth, given, average="micro"))
    assert found.hamming_loss == pytest.approx(hamming_loss(truth, given))
    assert found.loss == pytest.approx(sum(losses) / len(losses))
    assert tally.judgement().intervals is not None


def test_a_row_with_one_label_is_a_set_of_one_for_a_version_that_gives_sets() -> None:
    tally = Tally(manifest(problem_type="multi_label"), JUDGING)
    scores = {"a": 0.9, "b": 0.1, "c": 0.1}
    answer = {"label": "a", "score": 0.9, "labels": ["a"], "scores": scores, "tokens": 3, "truncated": False}
    assert tally.judged({"text": "t", "label": "a"}, answer)["expected"] == ["a"]
    assert tally.judgement().scores.accuracy == 1


def test_a_further_task_is_judged_by_its_own_labels() -> None:
    task = Task.model_construct(name="mood", labels=["glad", "sad"])
    version = manifest(tasks=[Task.model_construct(name="tone", labels=LABELS), task])
    tally = Tally(version, JUDGING.model_copy(update={"task": "mood"}))
    own = {"label": "sad", "score": 0.8, "scores": {"sad": 0.8, "glad": 0.2}}
    answer = {"label": "a", "score": 1.0, "scores": {}, "tasks": {"mood": own}, "tokens": 3, "truncated": False}
    line = tally.judged({"text": "t", "label": "sad"}, answer)
    assert (line["label"], line["score"]) == ("sad", 0.8)
    found = tally.judgement().scores
    assert (found.accuracy, [each.label for each in found.per_class]) == (1, ["glad", "sad"])
