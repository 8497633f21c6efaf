"""Look at the data through the trained model: hard rows, likely wrong labels, texts that leak between splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.artifacts.keys import ISSUES
from app.schemas.datasets import SplitName
from app.schemas.issues import DataIssues, TaskIssues
from app.serving.decision import each_probability, probabilities
from worker.calibrating import Settled
from worker.data.rows import Rows, read_rows
from worker.evaluation.issues import find_issues
from worker.evaluation.set_issues import find_set_issues
from worker.events import AttemptSpec
from worker.judging import Answered, Judge

MOST_ROWS = 20_000
"""Rows that are looked at; the first ones, so that their numbers are those of the split."""
MOST_TEXTS = 300_000
"""Above this many texts, overlaps of splits are not looked for: it takes seconds for each hundred thousand."""


def look_at_data(spec: AttemptSpec, settled: Settled, tested: Answered | None) -> None:
    """Write what is found to ``issues.json`` in the attempt's folder; nothing where no row was held out.

    Further tasks are looked at on their validation rows, those that have some.
    """
    split: SplitName = "test" if settled.answered is None else "validation"
    answered = tested if settled.answered is None else settled.answered
    if answered is None:
        return
    find = _issues if spec.problem_type == "single_label" else _set_issues
    main = find(Judgeable(spec.dataset_file, spec.labels), settled.judge, split, answered)
    tasks = {
        task.name: _issues(
            Judgeable(task.dataset_file, task.labels),
            settled.further[task.name],
            "validation",
            settled.task_answers[task.name],
        )
        for task in spec.tasks
        if task.name in settled.task_answers
    }
    issues = DataIssues(**main.model_dump(), tasks=tasks)
    (spec.work_dir / ISSUES).write_text(issues.model_dump_json(), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Judgeable:
    """The rows of one task, and its labels in the order of its logits."""

    file: Path
    labels: Sequence[str]


def _issues(data: Judgeable, judge: Judge, split: SplitName, answered: Answered) -> TaskIssues:
    judged = probabilities(answered.logits[:MOST_ROWS], judge.temperature).astype(np.float32)
    rows = read_rows(data.file, data.labels)
    judge.check()
    compared = _compared(rows, split)
    return find_issues(
        judged,
        _labels(rows[split])[: len(judged)],
        rows[split].texts[: len(judged)],
        data.labels,
        split=split,
        splits={name: each.texts for name, each in compared.items()},
        split_labels={name: _labels(each) for name, each in compared.items()},
    )


def _set_issues(data: Judgeable, judge: Judge, split: SplitName, answered: Answered) -> TaskIssues:
    logits, truth = answered.logits[:MOST_ROWS], answered.truth[:MOST_ROWS].astype(np.bool_)
    rows = read_rows(data.file, data.labels, "multi_label")
    judge.check()
    compared = _compared(rows, split)
    return find_set_issues(
        each_probability(logits, judge.temperature),
        truth,
        judge.decide(logits).astype(np.bool_),
        rows[split].texts[: len(truth)],
        data.labels,
        split=split,
        splits={name: each.texts for name, each in compared.items()},
        split_sets={name: [one for one in each.labels if isinstance(one, tuple)] for name, each in compared.items()},
    )


def _compared(rows: dict[SplitName, Rows], split: SplitName) -> dict[SplitName, Rows]:
    """Give the splits whose texts are compared: all of them, unless that would take too long."""
    return rows if sum(len(each.texts) for each in rows.values()) <= MOST_TEXTS else {split: rows[split]}


def _labels(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(rows.labels, dtype=np.int64)
