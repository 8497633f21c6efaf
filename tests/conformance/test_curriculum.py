"""A curriculum in a whole preparation: which rows an epoch has, by their definition, and what the job says of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import JobFailure
from app.schemas.curriculum import CurriculumOptions
from tests.worker.data.test_prepare import prepared
from tests.worker.toy_task import LABELS, Row, toy_rows, write_rows
from worker.data.prepare import Prepared
from worker.data.rows import read_rows
from worker.events import Resolved, Stepped
from worker.pipeline import run

SPLITS = [*toy_rows(60), *toy_rows(12, split="validation")]
EASY = [row for row in SPLITS if row.split == "train"]


def rows_of(data: Prepared, epoch: int) -> list[int]:
    return sorted(int(row) for batch in data.lessons.plan(7, seed=42, epoch=epoch) for row in batch)


def test_share_grows_in_a_line_from_the_first_fraction_to_the_last() -> None:
    """initial 0.3, final 1.0, over 10 epochs."""
    options = CurriculumOptions()
    assert [options.share(epoch, 12) for epoch in range(12)] == pytest.approx(
        [*np.linspace(0.3, 1.0, 10), 1.0, 1.0], abs=1e-9
    )


def test_first_epoch_has_the_shortest_texts_of_each_label(tmp_path: Path, tiny_base: Path) -> None:
    options = {"initial_difficulty": 0.25, "num_epochs": 3}
    data = prepared(tmp_path, tiny_base, SPLITS, num_train_epochs=4, curriculum=options)
    lengths = [len(data.encoder.encode([row.text]).ids[0]) for row in EASY]
    expected = []
    for label in LABELS:
        own = [index for index, row in enumerate(EASY) if row.label == label]
        expected += sorted(own, key=lambda index: (lengths[index], index))[:5]  # a quarter of 20
    assert rows_of(data, 0) == sorted(expected)
    assert [len(rows_of(data, epoch)) for epoch in range(4)] == [15, 39, 60, 60]
    [shown] = [item for item in data.resolutions if item.field == "curriculum"]
    assert shown.value == {"0": 15.0, "1": 39.0, "2": 60.0, "3": 60.0}
    assert "of 60 by length" in shown.reason


def test_steps_of_the_run_are_those_of_its_epochs(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(
        tmp_path, tiny_base, SPLITS, num_train_epochs=5, batch_size=4, gradient_accumulation_steps=2, curriculum={}
    )
    windows = [-(-len(data.lessons.plan(4, seed=42, epoch=epoch)) // 2) for epoch in range(5)]
    assert data.total_steps == sum(windows)
    assert windows == sorted(windows)
    assert windows[0] < windows[-1] == 8


def test_validation_and_export_see_every_row(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, curriculum={})
    assert data.validation is not None
    assert (len(data.train), len(data.validation)) == (60, 12)


def test_a_mislabelled_text_is_the_hardest_by_probe_loss(tmp_path: Path, tiny_base: Path) -> None:
    wrong = Row(EASY[0].text, "sad", "train")
    rows = [*SPLITS, wrong]
    options = {"difficulty": "probe_loss", "initial_difficulty": 0.8, "num_epochs": 2}
    data = prepared(tmp_path, tiny_base, rows, num_train_epochs=2, curriculum=options)
    assert 60 not in rows_of(data, 0)
    assert 60 in rows_of(data, 1)


def test_a_copy_is_as_hard_as_what_it_was_made_from(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(
        tmp_path,
        tiny_base,
        SPLITS,
        num_train_epochs=2,
        curriculum={"initial_difficulty": 0.5, "by_label": False},
        augmentation={"techniques": ["random_swap", "random_deletion"], "probability": 0.4},
    )
    assert len(data.train) == 120
    first = rows_of(data, 0)
    assert len(first) == 60
    assert sum(row < 60 for row in first) == 30


def test_numbers_of_the_dataset_decide_when_asked_to(tmp_path: Path, tiny_base: Path) -> None:
    file = write_rows(tmp_path / "numbered.jsonl", SPLITS)
    lines = [json.loads(line) | {"difficulty": -number} for number, line in enumerate(file.read_text().splitlines())]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = read_rows(file, LABELS)
    data = prepared(
        tmp_path,
        tiny_base,
        rows,
        num_train_epochs=2,
        curriculum={"difficulty": "column", "initial_difficulty": 0.25, "by_label": False},
    )
    assert rows_of(data, 0) == list(range(45, 60))


def test_a_dataset_without_difficulties_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        prepared(tmp_path, tiny_base, SPLITS, curriculum={"difficulty": "column"})
    assert caught.value.code == "no-difficulties"


def test_history_shows_the_rows_of_each_epoch(make_spec: Any, recording: Any, restored_torch: None) -> None:
    spec = make_spec(
        SPLITS, num_train_epochs=3, curriculum={"initial_difficulty": 0.5, "num_epochs": 3}, logging_steps=1
    )
    run(spec, recording, lambda: False)
    by_epoch = {int(step.epoch - 1e-9): step.values["curriculum_rows"] for step in recording.of(Stepped)}
    assert by_epoch == {0: 30, 1: 45, 2: 60}
    [resolved] = recording.of(Resolved)
    assert resolved.hyperparameters.curriculum == CurriculumOptions(initial_difficulty=0.5, num_epochs=3)
    assert resolved.total_steps == max(step.step for step in recording.of(Stepped))


def test_rows_with_any_number_of_labels_are_ordered_together(tmp_path: Path, tiny_base: Path) -> None:
    """Their steps are counted as their batches are dealt; a set of labels is what the probe tells apart."""
    for difficulty in ("length", "probe_loss"):
        rows = read_rows(write_rows(tmp_path / "sets.jsonl", SPLITS), LABELS, "multi_label")
        data = prepared(
            tmp_path,
            tiny_base,
            rows,
            problem_type="multi_label",
            num_train_epochs=3,
            batch_size=7,
            curriculum={"difficulty": difficulty, "num_epochs": 3},
        )
        sizes = [len(rows_of(data, epoch)) for epoch in range(3)]
        assert sizes == [18, 39, 60]
        assert data.total_steps == sum(-(-size // 7) for size in sizes)
