"""Prepared JSON Lines from the operator's folder."""

import dataclasses
import hashlib

import pytest

from app.errors import JobFailure
from app.schemas.datasets import SplitPolicy
from app.schemas.sources import ProcessedSource
from worker.data.sources import import_rows

ROWS = [{"text": f"text {number}", "label": ["no", "yes"][number % 2]} for number in range(20)]


@pytest.fixture
def prepared(tmp_path):
    """The operator's folder."""
    return tmp_path / "prepared"


@pytest.fixture
def load(surroundings, tmp_path, make):
    """Import a path and give its record and its rows."""

    def load(path, *, root=None, **options):
        here = dataclasses.replace(surroundings, processed_dir=root) if root else surroundings
        file = tmp_path / "rows.jsonl"
        record = import_rows(ProcessedSource(path=path, **options), here, file, scratch=tmp_path)
        return record, make.read(file)

    return load


def test_a_folder_of_three_files(load, prepared, make):
    (prepared / "mine").mkdir()
    for name, rows in (("train", ROWS), ("val", ROWS[:4]), ("test", ROWS[:6])):
        (prepared / "mine" / f"{name}.jsonl").write_bytes(make.jsonl(rows))
    record, rows = load("mine")
    assert [(row["text"], row["label"]) for row in rows[:20] if row["split"] == "train"] != []
    assert {split: sum(labels.values()) for split, labels in record.counts.items()} == {
        "train": 20,
        "validation": 4,
        "test": 6,
    }
    assert record.labels == ["no", "yes"]
    assert {file.path: file.sha256 for file in record.files} == {
        name: hashlib.sha256((prepared / "mine" / name).read_bytes()).hexdigest()
        for name in ("train.jsonl", "val.jsonl", "test.jsonl")
    }


def test_a_training_file_alone_is_divided_by_the_policy(load, prepared, make):
    (prepared / "mine").mkdir()
    (prepared / "mine" / "train.jsonl").write_bytes(make.jsonl(ROWS))
    record, _ = load("mine", split=SplitPolicy(validation_fraction=0.2, test_fraction=0))
    assert record.counts == {"train": {"no": 8, "yes": 8}, "validation": {"no": 2, "yes": 2}}


def test_one_file_whose_rows_say_their_split(load, prepared, make):
    rows = [
        row | {"split": split} for row, split in zip(ROWS, ["train"] * 16 + ["dev", "dev", "TEST", "test"], strict=True)
    ]
    (prepared / "all.jsonl").write_bytes(make.jsonl(rows) + b"\n")
    record, written = load("all.jsonl")
    assert [row["split"] for row in written] == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    assert [row["text"] for row in written] == [row["text"] for row in ROWS]
    assert record.dataset == "all.jsonl"


def test_columns_label_names_and_difficulty(load, prepared, make):
    rows = [{"body": f"b{number}", "class": number % 2, "hard": number} for number in range(20)]
    (prepared / "all.jsonl").write_bytes(make.jsonl(rows))
    record, written = load(
        "all.jsonl",
        text_column="body",
        label_column="class",
        label_names={"1": "good", "0": "bad"},
        difficulty_column="hard",
    )
    assert record.labels == ["good", "bad"]
    assert written[3] | {"split": ""} == {"text": "b3", "label": "good", "split": "", "difficulty": 3}


def test_slices_are_kept_and_a_column_without_any_value_is_a_wrong_name(load, prepared, make):
    rows = [row | ({"source": "web"} if number % 4 else {"source": ""}) for number, row in enumerate(ROWS)]
    (prepared / "all.jsonl").write_bytes(make.jsonl(rows))
    record, written = load("all.jsonl", slice_columns=["source"])
    assert record.slices == {"source": {"web": 15}}
    assert [row["slices"] for row in written[:2]] == [{}, {"source": "web"}]
    with pytest.raises(JobFailure) as failure:
        load("all.jsonl", slice_columns=["sauce"])
    assert (failure.value.code, "'sauce'" in failure.value.detail) == ("missing-column", True)


def test_a_labels_file_gives_the_order(load, prepared, make):
    (prepared / "mine").mkdir()
    (prepared / "mine" / "train.jsonl").write_bytes(make.jsonl(ROWS))
    (prepared / "mine" / "labels.json").write_text('["yes", "no"]')
    assert load("mine")[0].labels == ["yes", "no"]
    (prepared / "mine" / "labels.json").write_text("nonsense")
    assert load("mine")[0].labels == ["no", "yes"]


def test_rows_with_any_number_of_labels(load, prepared, make):
    labels = [[], ["b"], ["a", "b"], "a", ["c", "c"]]
    rows = [{"text": f"text {number}", "label": labels[number % 5]} for number in range(30)]
    (prepared / "all.jsonl").write_bytes(make.jsonl(rows))
    record, written = load("all.jsonl")
    assert [row["labels"] for row in written[:5]] == [[], ["b"], ["a", "b"], ["a"], ["c"]]
    assert (record.problem_type, record.labels) == ("multi_label", ["a", "b", "c"])
    rows = [{"text": f"text {number}", "label": ["0; 1", "", "1", None, 0][number % 5]} for number in range(30)]
    (prepared / "all.jsonl").write_bytes(make.jsonl(rows))
    record, written = load("all.jsonl", label_delimiter=";", label_names=["no", "yes"])
    assert [row["labels"] for row in written[:5]] == [["no", "yes"], [], ["yes"], [], ["no"]]
    assert record.labels == ["no", "yes"]


@pytest.mark.parametrize("path", ["nothing", "empty"])
def test_missing_data_names_the_files_that_were_expected(load, prepared, path):
    (prepared / "empty").mkdir()
    with pytest.raises(JobFailure) as failure:
        load(path)
    assert failure.value.code == "data-not-found"
    assert "train.jsonl, validation.jsonl, test.jsonl" in (failure.value.remedy or "")


def test_nothing_outside_of_the_folder_is_read(load, prepared, tmp_path, make):
    (tmp_path / "secret.jsonl").write_bytes(make.jsonl(ROWS))
    (prepared / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (prepared / "mine").mkdir()
    (prepared / "mine" / "train.jsonl").symlink_to(tmp_path / "secret.jsonl")
    for path in ("../secret.jsonl", "link.jsonl", "mine"):
        with pytest.raises(JobFailure) as failure:
            load(path)
        assert failure.value.code == "data-not-found"


def test_without_a_folder_there_is_no_such_source(surroundings, tmp_path):
    here = dataclasses.replace(surroundings, processed_dir=None)
    with pytest.raises(JobFailure) as failure:
        import_rows(ProcessedSource(path="mine"), here, tmp_path / "rows.jsonl", scratch=tmp_path)
    assert failure.value.code == "processed-disabled"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json", "malformed-row"),
        (b"[1]", "malformed-row"),
        (b'{"text": "x"}', "missing-column"),
        (b'{"text": "x", "label": "no", "split": "third"}', "malformed-row"),
        (b'{"text": "x", "label": 0.5}', "invalid-label"),
        (b"\xff", "malformed-row"),
        (b"[" * 100_000, "malformed-row"),
    ],
)
def test_a_malformed_line_is_refused_by_number_and_never_quoted(load, prepared, make, line, code):
    (prepared / "all.jsonl").write_bytes(make.jsonl(ROWS) + line + b"\n")
    with pytest.raises(JobFailure) as failure:
        load("all.jsonl")
    assert failure.value.code == code
    assert "Line 21" in failure.value.detail or code == "invalid-label"
