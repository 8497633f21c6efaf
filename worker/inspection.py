"""Look at the data through the trained model: hard rows, likely wrong labels, texts that leak between splits."""

import numpy as np

from app.artifacts.keys import ISSUES
from app.schemas.datasets import SplitName
from app.schemas.reports import DataIssues
from app.serving.decision import each_probability, probabilities
from worker.data.rows import Rows, read_rows
from worker.evaluation.issues import find_issues
from worker.evaluation.set_issues import find_set_issues
from worker.events import AttemptSpec
from worker.judging import Answered, Judge

MOST_ROWS = 20_000
"""Rows that are looked at; the first ones, so that their numbers are those of the split."""
MOST_TEXTS = 300_000
"""Above this many texts, overlaps of splits are not looked for: it takes seconds for each hundred thousand."""


def look_at_data(spec: AttemptSpec, judge: Judge, validated: Answered | None, tested: Answered | None) -> None:
    """Write what is found to ``issues.json`` in the attempt's folder; nothing where no row was held out."""
    find = _issues if spec.problem_type == "single_label" else _set_issues
    held_out: tuple[tuple[SplitName, Answered | None], ...] = (("validation", validated), ("test", tested))
    for split, answered in held_out:
        if answered is not None:
            issues = find(spec, judge, split, answered)
            (spec.work_dir / ISSUES).write_text(issues.model_dump_json(), encoding="utf-8")
            return


def _issues(spec: AttemptSpec, judge: Judge, split: SplitName, answered: Answered) -> DataIssues:
    judged = probabilities(answered.logits[:MOST_ROWS], judge.temperature).astype(np.float32)
    rows = read_rows(spec.dataset_file, spec.labels)
    judge.check()
    compared = _compared(rows, split)
    return find_issues(
        judged,
        _labels(rows[split])[: len(judged)],
        rows[split].texts[: len(judged)],
        spec.labels,
        split=split,
        splits={name: each.texts for name, each in compared.items()},
        split_labels={name: _labels(each) for name, each in compared.items()},
    )


def _set_issues(spec: AttemptSpec, judge: Judge, split: SplitName, answered: Answered) -> DataIssues:
    logits, truth = answered.logits[:MOST_ROWS], answered.truth[:MOST_ROWS].astype(np.bool_)
    rows = read_rows(spec.dataset_file, spec.labels, spec.problem_type)
    judge.check()
    compared = _compared(rows, split)
    return find_set_issues(
        each_probability(logits, judge.temperature),
        truth,
        judge.decide(logits).astype(np.bool_),
        rows[split].texts[: len(truth)],
        spec.labels,
        split=split,
        splits={name: each.texts for name, each in compared.items()},
        split_sets={name: [one for one in each.labels if isinstance(one, tuple)] for name, each in compared.items()},
    )


def _compared(rows: dict[SplitName, Rows], split: SplitName) -> dict[SplitName, Rows]:
    """Give the splits whose texts are compared: all of them, unless that would take too long."""
    return rows if sum(len(each.texts) for each in rows.values()) <= MOST_TEXTS else {split: rows[split]}


def _labels(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(rows.labels, dtype=np.int64)
