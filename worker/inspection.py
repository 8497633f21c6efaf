"""Look at the data through the trained model: hard rows, likely wrong labels, texts that leak between splits."""

from contextlib import nullcontext

import numpy as np

from app.artifacts.keys import ISSUES
from app.schemas.datasets import SplitName
from app.schemas.reports import DataIssues
from worker.data.batches import Batches
from worker.data.rows import Rows, read_rows
from worker.evaluation.evaluate import probabilities
from worker.evaluation.issues import find_issues
from worker.evaluation.label_sets import answers
from worker.evaluation.label_sets import probabilities as each_probability
from worker.evaluation.set_issues import find_set_issues
from worker.events import AttemptSpec
from worker.judging import Judge
from worker.setup import Setup

MOST_ROWS = 20_000
"""Rows that are judged once more; the first ones, so that their numbers are those of the split."""
MOST_TEXTS = 300_000
"""Above this many texts, overlaps of splits are not looked for: it takes seconds for each hundred thousand."""


def look_at_data(spec: AttemptSpec, setup: Setup, judge: Judge) -> None:
    """Write what is found to ``issues.json`` in the attempt's folder; nothing where no row was held out."""
    find = _issues if spec.problem_type == "single_label" else _set_issues
    held_out: tuple[tuple[SplitName, Batches | None], ...] = (
        ("validation", setup.data.validation),
        ("test", setup.data.test),
    )
    for split, batches in held_out:
        if batches is not None:
            issues = find(spec, setup, judge, split, batches)
            (spec.work_dir / ISSUES).write_text(issues.model_dump_json(), encoding="utf-8")
            return


def _issues(spec: AttemptSpec, setup: Setup, judge: Judge, split: SplitName, batches: Batches) -> DataIssues:
    model, device = setup.classifier, setup.device
    judged = judge.portion.of(
        lambda size: probabilities(model, batches.first(MOST_ROWS, size), device=device, check=judge.check)
    )
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


def _set_issues(spec: AttemptSpec, setup: Setup, judge: Judge, split: SplitName, batches: Batches) -> DataIssues:
    logits, truth = judge.portion.of(
        lambda size: answers(
            setup.model,
            batches.first(MOST_ROWS, size),
            device=setup.device,
            autocast=nullcontext,
            check=judge.check,
        )
    )
    rows = read_rows(spec.dataset_file, spec.labels, spec.problem_type)
    judge.check()
    compared = _compared(rows, split)
    return find_set_issues(
        each_probability(logits),
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
