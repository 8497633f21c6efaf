"""Scores the answers of a batch against the labels of its rows, row by row, so that a lost worker loses nothing."""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.artifacts.bundle import Manifest
from app.schemas.evaluations import Judgement, Judging, ScoreIntervals
from app.schemas.judgements import PartScores
from app.schemas.metrics import Evaluation, TaskEvaluation
from app.significance.answers import Answers, Marks
from app.significance.judging import intervals_of
from worker.evaluation.marks import MarkCounts, score_marks
from worker.evaluation.metrics import confusion_matrix, score
from worker.slicing import parts_of

Row = dict[str, Any]
Answer = dict[str, Any]

LEAST = 1e-12
"""Keeps the loss of a row finite where a probability has underflowed to 0."""
MOST_MARKS = 5_000_000
"""Rows times labels that are drawn anew for intervals."""


class Tally:
    """Holds of the rows which labels each has and was given, how long it is, its slices, and the loss of all."""

    def __init__(self, manifest: Manifest, judging: Judging) -> None:
        self._judging = judging
        self._main = judging.task is None or not manifest.tasks or judging.task == manifest.tasks[0].name
        tasks = {task.name: task.labels for task in manifest.tasks}
        self._labels: Sequence[str] = manifest.labels if self._main else tasks[str(judging.task)]
        self._index = {label: index for index, label in enumerate(self._labels)}
        self._several = manifest.problem_type == "multi_label"
        self._truth: list[array[int]] = []
        self._given: list[array[int]] = []
        self._lengths = array("q")
        self._slices: list[Mapping[str, str]] = []
        self._known_slices: dict[str, Mapping[str, str]] = {}  # so that rows of one slice share one object
        self._loss = 0.0
        self._refused = 0

    @classmethod
    def going_on(cls, manifest: Manifest, judging: Judging, before: Sequence[Path]) -> "Tally":
        """Begin with what earlier attempts have answered."""
        tally = cls(manifest, judging)
        for place in before:
            with place.open("rb") as lines:
                for line in lines:
                    judged = json.loads(line)
                    tally._count(judged, judged["text"])
        return tally

    def judged(self, row: Row, answer: Answer) -> Answer:
        """Give the answer with what was expected of it and its loss, and count it."""
        expected = _expected(row, several=self._several)
        if "error" in answer:
            judged = {"expected": expected, **answer}
        else:
            own = answer if self._main else answer["tasks"][self._judging.task]
            loss = self._loss_of(expected, own["scores"])
            kept = ("label", "score", "labels", "abstained")
            told = {name: own[name] for name in kept if name in own}
            reading = {name: answer[name] for name in ("tokens", "truncated")}
            judged = {"expected": expected, **told, **reading, "loss": loss}
            if "slices" in row:
                judged["slices"] = row["slices"]
        self._count(judged, row["text"])
        return judged

    def judgement(self) -> Judgement:
        """Give the scores of everything that was counted."""
        evaluation, answers = self._scored(), self._answers()
        return Judgement(
            scores=TaskEvaluation.model_validate(evaluation.model_dump(exclude={"tasks"})),
            intervals=None if answers is None else self._intervals(answers),
            slices=[] if answers is None else self._parts(answers),
            refused=self._refused,
        )

    def _loss_of(self, expected: str | list[str], scores: Mapping[str, float]) -> float:
        if isinstance(expected, str):
            return -math.log(max(scores[expected], LEAST))
        true = set(expected)
        likely = (scores[label] if label in true else 1 - scores[label] for label in self._labels)
        return -sum(math.log(max(each, LEAST)) for each in likely) / len(self._labels)

    def _count(self, judged: Answer, text: str) -> None:
        if "error" in judged:
            self._refused += 1
            return
        expected, given = judged["expected"], judged["labels"] if self._several else judged["label"]
        self._truth.append(self._numbers(expected))
        self._given.append(self._numbers(given))
        self._lengths.append(len(text))
        values: Mapping[str, str] = judged.get("slices", {})
        self._slices.append(self._known_slices.setdefault(json.dumps(values), values))
        self._loss += judged["loss"]

    def _numbers(self, labels: str | list[str]) -> "array[int]":
        return array("i", sorted(self._index[label] for label in ([labels] if isinstance(labels, str) else labels)))

    def _scored(self) -> Evaluation:
        split, loss = self._judging.split, self._loss / max(1, len(self._truth))
        if not self._several:
            truth, given = self._flat(self._truth), self._flat(self._given)
            return score(confusion_matrix(truth, given, len(self._labels)), self._labels, split=split, loss=loss)
        counts = MarkCounts.of_sets(self._truth, self._given, len(self._labels))
        return score_marks(counts, self._labels, split=split, loss=loss)

    def _answers(self) -> Answers | None:
        """Give the answers as they are drawn anew; None where that would take too long."""
        rows = len(self._truth)
        if rows == 0 or (self._several and rows * len(self._labels) > MOST_MARKS):
            return None
        shape = self._marks if self._several else self._flat
        return Answers(
            split="test",
            labels=list(self._labels),
            several=self._several,
            keys=np.zeros(rows, np.uint64),
            truth=shape(self._truth),
            given=shape(self._given),
            probabilities=np.zeros((rows, 1), np.float16),
        )

    @staticmethod
    def _intervals(answers: Answers) -> ScoreIntervals | None:
        found = intervals_of(answers)
        return None if found is None else ScoreIntervals(**found.model_dump(exclude={"split", "rows"}))

    def _parts(self, answers: Answers) -> list[PartScores]:
        return parts_of(answers, np.frombuffer(self._lengths, np.int64), self._slices, lambda: None)

    @staticmethod
    def _flat(sets: Sequence["array[int]"]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.fromiter((each[0] for each in sets), np.int64, len(sets))

    def _marks(self, sets: Sequence["array[int]"]) -> Marks:
        marks = np.zeros((len(sets), len(self._labels)), np.bool_)
        for row, numbers in enumerate(sets):
            marks[row, numbers] = True
        return marks


def _expected(row: Row, *, several: bool) -> str | list[str]:
    if several:
        return list(row["labels"]) if "labels" in row else [row["label"]]
    return str(row["label"])
