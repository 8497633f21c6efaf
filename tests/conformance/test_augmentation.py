"""Augmentation in a whole preparation: of the training split alone, counted, and the same for the same seed."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.artifacts.bundle import Bundle
from tests.worker.data.test_prepare import prepared
from tests.worker.toy_task import LABELS, Row, toy_rows
from worker.data.prepare import Prepared
from worker.data.words import parse
from worker.events import Resolved
from worker.pipeline import run

# No word twice, so that exchanging two of them always makes another text.
SPLITS = [
    *(Row(" ".join(dict.fromkeys(f"{row.text} home my hill".split())), row.label, "train") for row in toy_rows(60)),
    *toy_rows(12, split="validation"),
    *toy_rows(9, split="test"),
]
SWAPS: dict[str, Any] = {"techniques": ["random_swap"], "probability": 0.01}


def texts_of(data: Prepared) -> list[list[int]]:
    return [data.train._split.ids(row).tolist() for row in range(len(data.train))]


def test_only_the_training_split_grows(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, augmentation=SWAPS | {"augmentation_factor": 3})
    assert data.validation is not None
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (240, 12, 9)


def test_copies_keep_the_label_of_their_row(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, augmentation=SWAPS)
    [batch] = data.train.by_length(1000)
    assert sorted(batch.labels.tolist()) == sorted(2 * [LABELS.index(row.label) for row in SPLITS[:60]])


def test_what_was_made_is_told_by_technique(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, augmentation=SWAPS)
    [shown] = [item for item in data.resolutions if item.field == "augmentation"]
    assert isinstance(shown.value, dict)
    assert shown.value == {"random_swap": 60}
    assert shown.reason.startswith("60 altered copies of 60 training rows")


def test_what_cannot_be_altered_is_told(tmp_path: Path, tiny_base: Path) -> None:
    rows = [*SPLITS, *(Row("great", "glad", "train") for _ in range(5))]
    data = prepared(tmp_path, tiny_base, rows, augmentation=SWAPS)
    assert len(data.train) == 125
    [shown] = [item for item in data.resolutions if item.field == "augmentation"]
    assert "5 were not made" in shown.reason
    assert "augmentation-left-alone" in [warning.code for warning in data.warnings]


def test_same_seed_same_copies(tmp_path: Path, tiny_base: Path) -> None:
    one, same, other = (
        texts_of(prepared(tmp_path, tiny_base, SPLITS, augmentation=SWAPS, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one[:60] == other[:60]
    assert one[60:] != other[60:]


def test_steps_and_class_weights_count_the_copies(tmp_path: Path, tiny_base: Path) -> None:
    wishes: dict[str, Any] = {"num_train_epochs": 2, "batch_size": 10, "class_weights": "balanced"}
    plain = prepared(tmp_path, tiny_base, SPLITS, **wishes)
    doubled = prepared(tmp_path, tiny_base, SPLITS, augmentation=SWAPS, **wishes)
    assert (plain.total_steps, doubled.total_steps) == (12, 24)
    assert doubled.hyperparameters.class_weights == pytest.approx(plain.hyperparameters.class_weights)


def test_switched_off_it_changes_nothing(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, augmentation={"enabled": False})
    assert len(data.train) == 60
    assert "augmentation" not in [item.field for item in data.resolutions]


def test_manifest_tells_options_and_counts_and_word_lists_are_found(
    make_spec: Any, recording: Any, restored_torch: None, tmp_path: Path
) -> None:
    """A list of the operator's own language reaches the training process."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "xx.json").write_text(json.dumps({"synonyms": [["house", "home"]]}))
    options = {"techniques": ["synonym_replacement"], "language": "xx"}
    spec = make_spec(SPLITS, num_train_epochs=1, augmentation=options).model_copy(update={"synonyms_dir": lists})
    run(spec, recording, lambda: False)
    with_word = sum(
        bool({"house", "home"} & {word.core for word in parse(row.text).words})
        for row in SPLITS
        if row.split == "train"
    )
    manifest = Bundle.open(spec.bundle_dir).manifest
    assert manifest.hyperparameters["augmentation"]["language"] == "xx"
    [shown] = [item for item in manifest.resolutions if item.field == "augmentation"]
    assert shown.value == {"synonym_replacement": with_word}
    assert recording.of(Resolved)[0].resolutions == manifest.resolutions
