"""Look at the data through the trained model: hard rows, likely wrong labels, texts that leak between splits."""

from collections.abc import Callable

import numpy as np

from app.artifacts.keys import ISSUES
from app.schemas.datasets import SplitName
from app.schemas.reports import DataIssues
from worker.data.batches import Batches
from worker.data.rows import Rows, read_rows
from worker.evaluation.evaluate import probabilities
from worker.evaluation.issues import find_issues
from worker.events import AttemptSpec
from worker.memory import Portion
from worker.setup import Setup

MOST_ROWS = 20_000
"""Rows that are judged once more; the first ones, so that their numbers are those of the split."""
MOST_TEXTS = 300_000
"""Above this many texts, overlaps of splits are not looked for: it takes seconds for each hundred thousand."""


def look_at_data(spec: AttemptSpec, setup: Setup, portion: Portion, check: Callable[[], None]) -> None:
    """Write what is found to ``issues.json`` in the attempt's folder.

    Nothing where no row was held out, or where rows have several labels: what is looked for is known of one alone.
    """
    if spec.problem_type == "multi_label":
        return
    held_out: tuple[tuple[SplitName, Batches | None], ...] = (
        ("validation", setup.data.validation),
        ("test", setup.data.test),
    )
    for split, batches in held_out:
        if batches is not None:
            issues = _issues(spec, setup, split, batches, portion, check)
            (spec.work_dir / ISSUES).write_text(issues.model_dump_json(), encoding="utf-8")
            return


def _issues(
    spec: AttemptSpec,
    setup: Setup,
    split: SplitName,
    batches: Batches,
    portion: Portion,
    check: Callable[[], None],
) -> DataIssues:
    judged = portion.of(
        lambda size: probabilities(setup.classifier, batches.first(MOST_ROWS, size), device=setup.device, check=check)
    )
    rows = read_rows(spec.dataset_file, spec.labels)
    check()
    compared = rows if sum(len(each.texts) for each in rows.values()) <= MOST_TEXTS else {split: rows[split]}
    return find_issues(
        judged,
        _labels(rows[split])[: len(judged)],
        rows[split].texts[: len(judged)],
        spec.labels,
        split=split,
        splits={name: each.texts for name, each in compared.items()},
        split_labels={name: _labels(each) for name, each in compared.items()},
    )


def _labels(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(rows.labels, dtype=np.int64)
