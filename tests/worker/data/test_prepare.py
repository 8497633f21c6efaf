"""From the stored file to batches: labels by name, autos decided, data that cannot work refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import JobFailure
from app.schemas.datasets import ProblemType, SplitName
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.text import TextOptions
from tests.worker.data.test_resolve import MODEL
from tests.worker.toy_task import LABELS, Row, toy_rows, write_rows
from worker.data.facts import Chunking, ModelFacts
from worker.data.prepare import Prepared, prepare
from worker.data.rows import Rows, read_rows
from worker.events import Interrupted

SPLITS = [*toy_rows(60), *toy_rows(12, split="validation"), *toy_rows(9, split="test")]


def prepared(
    folder: Path,
    base: Path,
    rows: list[Row] | dict[SplitName, Rows],
    *,
    labels: list[str] = LABELS,
    model: ModelFacts = MODEL,
    problem_type: ProblemType = "single_label",
    **wishes: Any,
) -> Prepared:
    return prepare(
        rows if isinstance(rows, dict) else read_rows(write_rows(folder / "rows.jsonl", rows), labels),
        labels,
        tokenizer=base / "tokenizer.json",
        text=TextOptions(),
        wishes=Hyperparameters(**wishes),
        model=replace_vocabulary(model),
        check=lambda: None,
        problem_type=problem_type,
    )


def replace_vocabulary(model: ModelFacts) -> ModelFacts:
    """Give the toy tokenizer room."""
    return ModelFacts(**{name: getattr(model, name) for name in ModelFacts.__slots__} | {"vocabulary": 400})


def test_splits_and_autos(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS)
    assert data.validation is not None
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 12, 9)
    assert data.encoder.settings.max_length == data.hyperparameters.max_length
    assert data.total_steps == 80  # ten epochs of eight batches of eight
    assert data.warnings == []


@pytest.mark.parametrize(
    ("problem_type", "told"), [("single_label", "each label's easiest"), ("multi_label", "the easiest")]
)
def test_a_curriculum_says_of_which_rows_it_takes_the_easiest(
    tmp_path: Path, tiny_base: Path, problem_type: ProblemType, told: str
) -> None:
    splits = read_rows(write_rows(tmp_path / "rows.jsonl", SPLITS), LABELS)
    if problem_type == "multi_label":
        for rows in splits.values():
            rows.labels = [(0, 1) if target else () for target in rows.labels]
    data = prepared(
        tmp_path, tiny_base, splits, problem_type=problem_type, curriculum={"difficulty": "length"}, num_train_epochs=3
    )
    [reason] = [each.reason for each in data.resolutions if each.field == "curriculum"]
    assert reason.startswith(f"rows by epoch: {told} of 60 ")


def test_labels_are_matched_by_name_not_by_position(tmp_path: Path, tiny_base: Path) -> None:
    turned = ["sad", "calm", "glad"]
    data = prepared(tmp_path, tiny_base, SPLITS, labels=turned)
    [batch] = data.train.by_length(60)
    names = sorted(turned[index] for index in batch.labels)
    assert names == sorted(row.label for row in SPLITS if row.split == "train")
    first = data.train.load(data.train.plan(60, seed=0, epoch=0)[0][:1])
    row = data.train.plan(60, seed=0, epoch=0)[0][0]
    assert turned[int(first.labels[0])] == toy_rows(60)[row].label


def test_without_validation_it_warns(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, toy_rows(20))
    assert data.validation is None
    assert [warning.code for warning in data.warnings] == ["no-validation-split"]


def test_much_truncation_is_told(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, max_length=8)
    assert [warning.code for warning in data.warnings] == ["texts-truncated"]


def test_extreme_weights_are_told(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, class_weights={"calm": 1.0, "glad": 30.0, "sad": 1.0})
    assert [warning.code for warning in data.warnings] == ["extreme-class-weights"]


@pytest.mark.parametrize(
    "line",
    ['{"text": "x", "label": "unheard of", "split": "train"}', '{"text": "x", "split": "train"}', "no json", "[1]",
     '{"text": "x", "label": "sad", "split": "dev"}', '{"text": null, "label": "sad", "split": "train"}'],
)  # fmt: skip
def test_damaged_rows_name_their_line_and_nothing_else(tmp_path: Path, tiny_base: Path, line: str) -> None:
    file = write_rows(tmp_path / "rows.jsonl", SPLITS)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(JobFailure) as caught:
        read_rows(file, LABELS)
    assert caught.value.code == "dataset-changed"
    assert f"Line {len(SPLITS) + 1} " in caught.value.detail
    assert "unheard" not in caught.value.detail


def test_no_training_rows(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        prepared(tmp_path, tiny_base, toy_rows(5, split="test"))
    assert caught.value.code == "no-training-rows"


def test_metric_of_an_unknown_label_names_the_nearest(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        prepared(tmp_path, tiny_base, SPLITS, metric_for_best_model="f1:gald")
    assert caught.value.code == "unknown-label"
    assert "'glad'" in (caught.value.remedy or "")


def test_tokenizer_with_more_ids_than_the_model(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        prepare(
            read_rows(write_rows(tmp_path / "rows.jsonl", SPLITS), LABELS),
            LABELS,
            tokenizer=tiny_base / "tokenizer.json",
            text=TextOptions(),
            wishes=Hyperparameters(),
            model=ModelFacts(**{name: getattr(MODEL, name) for name in ModelFacts.__slots__} | {"vocabulary": 20}),
            check=lambda: None,
        )
    assert caught.value.code == "tokenizer-mismatch"


def test_can_be_stopped_while_tokenizing(tmp_path: Path, tiny_base: Path) -> None:
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        prepare(
            read_rows(write_rows(tmp_path / "rows.jsonl", SPLITS), LABELS),
            LABELS,
            tokenizer=tiny_base / "tokenizer.json",
            text=TextOptions(),
            wishes=Hyperparameters(),
            model=MODEL,
            check=stop,
        )


def test_a_cycle_longer_than_the_run_is_told(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(
        tmp_path, tiny_base, SPLITS, lr_scheduler_type="cosine_with_restarts", lr_scheduler_kwargs={"T_0": 1000}
    )
    assert [warning.code for warning in data.warnings] == ["no-restart"]


def test_layers_that_never_thaw_are_told(tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS, num_train_epochs=3, unfreeze_schedule={"1": 1, "3": "all"})
    assert [warning.code for warning in data.warnings] == ["never-unfrozen"]


def test_rows_that_are_too_long_are_counted_where_none_may_be_cut(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(JobFailure) as failure:
        prepared(tmp_path, tiny_base, SPLITS, max_length=12, long_text="error")
    lengths = {
        name: prepared(tmp_path, tiny_base, SPLITS, max_length=64).encoder.lengths(
            [r.text for r in SPLITS if r.split == name]
        )
        for name in ("train", "validation", "test")
    }
    long = {name: sum(length > 12 for length in each) for name, each in lengths.items()}
    longest = max(max(each) for each in lengths.values())
    assert (failure.value.code, failure.value.kind, failure.value.final) == ("texts-too-long", "data", True)
    assert failure.value.detail.startswith(
        f"{long['train']} of 60 train rows, {long['validation']} of 12 validation rows, {long['test']} of 9 test rows "
        f"are longer than 12 tokens, the longest has {longest} tokens"
    )
    assert "hierarchical" in (failure.value.remedy or "")
    assert prepared(tmp_path, tiny_base, SPLITS, max_length=64, long_text="error").hyperparameters.long_text == "error"


@pytest.mark.parametrize(("long_text", "lost"), [("truncate", "end"), ("head_tail", "middle")])
def test_the_warning_of_truncation_says_what_is_lost(
    long_text: str, lost: str, tmp_path: Path, tiny_base: Path
) -> None:
    [warning] = prepared(tmp_path, tiny_base, SPLITS, max_length=8, long_text=long_text).warnings
    assert f"lose their {lost}" in warning.detail
    assert "hierarchical" in (warning.remedy or "")


def test_documents_beyond_the_chunks_that_are_read_are_told(tmp_path: Path, tiny_base: Path) -> None:
    for most, codes in ((2, ["texts-truncated"]), (9, [])):
        model = replace(MODEL, chunking=Chunking(8, most, 0))
        data = prepared(tmp_path, tiny_base, SPLITS, model=model)
        assert [warning.code for warning in data.warnings] == codes
        assert data.encoder.settings.max_chunks == most
